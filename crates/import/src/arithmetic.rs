//! Arithmetic that operations of both frameworks are: of integers, where all operands are known,
//! and else of the graph.

use crate::node::{Message, Node, Results, Value};
use crate::value::{Fault, holds};
use cryptflow_graph::{Arithmetic, Comparison, NodeId, Op};

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
    /// another.
    pub(crate) fn chain(&mut self, op: &Arithmetic, operands: &[NodeId]) -> Result<NodeId, Fault> {
        let Some((&first, rest)) = operands.split_first() else {
            return Err("has no operands: the file is damaged".into());
        };
        let mut all = first;
        for (i, &operand) in rest.iter().enumerate() {
            let (last, pair) = (i + 1 == rest.len(), [all, operand]);
            all = if last {
                self.add(op.clone(), &pair)?
            } else {
                self.add_part(&i.to_string(), op.clone(), &pair)?
            };
        }
        Ok(all)
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
        self.binary(Arithmetic::Compare(comparison), |a, b| Some(holds(comparison, a, b).into()))
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
}
