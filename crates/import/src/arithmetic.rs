//! Arithmetic that operations of both frameworks are: of integers, where all operands are known,
//! and else of the graph.

use cryptflow_ring::Movement;

use crate::budget::check_made;
use crate::node::{Message, Node, Results, Value};
use crate::value::{Fault, Ints, MAX_KNOWN};
use cryptflow_graph::{Arithmetic, Array, Comparison, Function, NodeId, Op};

impl<M: Message> Node<'_, M> {
    /// A function of two operands, where both are known integers; where it is not defined, it
    /// divides by zero.
    pub(crate) fn known_pair(
        &self,
        f: impl Fn(i64, i64) -> Option<i64>,
    ) -> Result<Option<Vec<Value>>, Fault> {
        match (self.operand(0)?, self.operand(1)?) {
            (Value::Int(a), Value::Int(b)) => Ok(Some(vec![Value::Int(a.with(b, f)?)])),
            _ => Ok(None),
        }
    }

    /// A function of the operand, where it is known integers.
    pub(crate) fn known_map(&self, f: impl Fn(i64) -> i64) -> Result<Option<Vec<Value>>, Fault> {
        Ok(self.operand(0)?.ints().map(|ints| vec![Value::Int(ints.map(f))]))
    }

    /// An operation on two operands, and what it is of known integers.
    pub(crate) fn binary(
        &mut self,
        op: impl Into<Op>,
        of_integers: impl Fn(i64, i64) -> Option<i64>,
    ) -> Results {
        if let Some(known) = self.known_pair(of_integers)? {
            return Ok(known);
        }
        let operands = [self.tensor(0)?, self.tensor(1)?];
        self.result(op, &operands)
    }

    /// Adds an operation on two operands to the first of these and each other one, one after
    /// another: to the node's result, or to a part of it.
    pub(crate) fn chain(
        &mut self,
        op: &Arithmetic,
        operands: &[NodeId],
        part: bool,
    ) -> Result<NodeId, Fault> {
        let Some((&first, rest)) = operands.split_first() else {
            return Err("has no operands: the file is damaged".into());
        };
        let mut all = first;
        for (i, &operand) in rest.iter().enumerate() {
            let name = (part || i + 1 < rest.len()).then(|| i.to_string());
            all = self.add_part_or_result(name.as_deref(), op.clone(), &[all, operand])?;
        }
        Ok(all)
    }

    /// Whether elements are infinite, or no numbers. Of what depends on an input none is: fixed point
    /// has nothing but finite numbers.
    pub(crate) fn finiteness(&mut self, holds: impl Fn(f32) -> bool) -> Results {
        let (value, shape) = self.shaped(0)?;
        let n = check_made(&shape)?;
        let known = match value {
            Value::Tensor(id) => self.constant_of(id),
            _ => None,
        };
        let flags: Vec<bool> = match known {
            Some(array) => array.data.iter().map(|&v| holds(v)).collect(),
            None => vec![holds(0.0); n],
        };
        if n <= MAX_KNOWN {
            let data = flags.into_iter().map(i64::from).collect();
            return Ok(vec![Value::Int(Ints { shape, data })]);
        }
        let array = Array::new(shape, flags.into_iter().map(f32::from).collect())?;
        Ok(vec![Value::Tensor(self.add_known(array))])
    }

    pub(crate) fn sum(&mut self) -> Results {
        self.binary(Arithmetic::Add, |a, b| Some(a.wrapping_add(b)))
    }

    pub(crate) fn difference(&mut self) -> Results {
        self.binary(Arithmetic::Sub, |a, b| Some(a.wrapping_sub(b)))
    }

    pub(crate) fn product(&mut self) -> Results {
        self.binary(Arithmetic::Mul, |a, b| Some(a.wrapping_mul(b)))
    }

    pub(crate) fn comparison(&mut self, comparison: Comparison) -> Results {
        self.binary(Arithmetic::Compare(comparison), |a, b| Some(comparison.holds(a, b).into()))
    }

    /// Whether both flags are set: their product.
    pub(crate) fn conjunction(&mut self) -> Results {
        self.binary(Arithmetic::Mul, |a, b| Some((a != 0 && b != 0).into()))
    }

    /// Whether one of two flags is set: the larger one.
    pub(crate) fn disjunction(&mut self) -> Results {
        self.binary(Arithmetic::Maximum, |a, b| Some((a != 0 || b != 0).into()))
    }

    /// Whether a flag is not set: one less the flag.
    pub(crate) fn complement(&mut self) -> Results {
        if let Some(known) = self.known_map(|v| (v == 0).into())? {
            return Ok(known);
        }
        let x = self.tensor(0)?;
        let one = self.add_number("one", 1.0);
        self.result(Arithmetic::Sub, &[one, x])
    }

    pub(crate) fn negation(&mut self) -> Results {
        if let Some(known) = self.known_map(i64::wrapping_neg)? {
            return Ok(known);
        }
        let x = self.tensor(0)?;
        let minus_one = self.add_number("minus_one", -1.0);
        self.result(Arithmetic::Mul, &[x, minus_one])
    }

    /// A function of the catalogue, with the parameters that the node gives.
    pub(crate) fn function(&mut self, function: Function) -> Results {
        let entry = function.entry();
        if let (Value::Int(ints), Some(of_integer)) = (self.operand(0)?, entry.of_integer) {
            return Ok(vec![Value::Int(ints.map(of_integer))]);
        }
        let x = self.reals(0)?;
        let given = entry.parameters.iter().map(|parameter| match M::parameter(parameter) {
            (Some(attribute), default) => self.attr_float(attribute, default),
            (None, value) => Ok(value),
        });
        let parameters = given.collect::<Result<Vec<f32>, Fault>>()?;
        self.result(function.with(&parameters), &[x])
    }

    /// An operation on operand 0 alone.
    pub(crate) fn of_one(&mut self, op: impl Into<Op>) -> Results {
        let x = self.reals(0)?;
        self.result(op, &[x])
    }

    /// Where operand 0 is not zero operand 1, else operand 2. With `rows` a condition that is a
    /// vector goes with the first axis.
    pub(crate) fn chosen(&mut self, rows: bool) -> Results {
        if let (Value::Int(c), Value::Int(a), Value::Int(b)) =
            (self.operand(0)?, self.operand(1)?, self.operand(2)?)
        {
            return Ok(vec![Value::Int(c.choose(a, b)?)]);
        }
        let [mut condition, a, b] = [self.tensor(0)?, self.tensor(1)?, self.tensor(2)?];
        let (from, rank) = (self.shape(condition).to_vec(), self.shape(a).len());
        if rows && from.len() == 1 && rank > 1 {
            let mut shape = vec![1; rank];
            shape[0] = from[0];
            condition = self.move_part("condition", Movement::Reshape { shape }, condition)?;
        }
        self.result(Arithmetic::Select, &[condition, a, b])
    }

    /// A border of one number: it is added to zeros where they are.
    pub(crate) fn bordered(&mut self, x: NodeId, zeros: Movement, number: f32) -> Results {
        let (zeros, from) = (Op::Movement(zeros), self.shape(x).to_vec());
        if number == 0.0 {
            return self.result(zeros, &[x]);
        }
        check_made(&zeros.shape(&[&from])?)?;
        let mask = zeros.evaluate(&[&Array::filled(from, 1.0)?])?;
        let border = mask.data.iter().map(|&m| if m == 0.0 { number } else { 0.0 }).collect();
        let border = self.add_constant("border", Array::new(mask.shape, border)?);
        let padded = self.add_part("zeros", zeros, &[x])?;
        self.result(Arithmetic::Add, &[padded, border])
    }
}
