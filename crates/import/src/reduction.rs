//! Reductions over axes, softmaxes, and what looks for the largest: as operations of both
//! frameworks are.

use crate::compose::{self, Weights, kept};
use crate::node::{Message, Node, Results, Value};
use crate::value::{Fault, Ints, along, axis, grown};
use cryptflow_graph::{Arithmetic, Function, NodeId, Op, Order, Reduce, Reduction};
use cryptflow_ring::Movement;

/// The axes of a reduction, ascending, and whether they stay.
pub(crate) struct Reducing {
    pub(crate) axes: Vec<usize>,
    pub(crate) keep_dims: bool,
}

impl Reducing {
    /// The operation: over no axes at all it is the identity.
    pub(crate) fn by(&self, kind: Reduction) -> Op {
        let Reducing { axes, keep_dims } = self;
        if axes.is_empty() {
            return Op::Identity;
        }
        Reduce { kind, axes: axes.clone(), keep_dims: *keep_dims }.into()
    }

    /// The shape of what is left of an operand of this shape.
    pub(crate) fn shape(&self, from: &[usize]) -> Vec<usize> {
        let left = from.iter().enumerate().filter_map(|(i, &n)| match self.axes.contains(&i) {
            true => self.keep_dims.then_some(1),
            false => Some(n),
        });
        left.collect()
    }
}

impl<M: Message> Node<'_, M> {
    /// Operand 0, and how the node reduces it.
    pub(crate) fn reducing(&mut self) -> Result<(NodeId, Reducing), Fault> {
        let x = self.reals(0)?;
        Ok((x, M::reducing(self, self.shape(x).len())?))
    }

    pub(crate) fn reduced(&mut self, kind: Reduction) -> Results {
        let (x, reducing) = self.reducing()?;
        self.result(reducing.by(kind), &[x])
    }

    /// Known integers are folded at once.
    pub(crate) fn folded(&mut self, kind: Reduction, start: Option<i64>, f: fn(i64, i64) -> i64) -> Results {
        match self.fold(start, f)? {
            Some(known) => Ok(known),
            None => self.reduced(kind),
        }
    }

    /// Folds operand 0, where it is known integers.
    pub(crate) fn fold(
        &self,
        start: Option<i64>,
        f: fn(i64, i64) -> i64,
    ) -> Result<Option<Vec<Value>>, Fault> {
        let Value::Int(ints) = self.operand(0)? else { return Ok(None) };
        let reducing = M::reducing(self, ints.shape.len())?;
        let shape = reducing.shape(&ints.shape);
        let n = grown(&shape, ints.data.len())?;
        let left = (0..ints.shape.len()).filter(|i| !reducing.axes.contains(i));
        let permutation = left.chain(reducing.axes.iter().copied()).collect();
        let ordered = ints.moved(&Movement::Transpose { permutation }, &[])?.data;
        let each: usize = reducing.axes.iter().map(|&a| ints.shape[a]).product();
        let one = |i: usize| start.into_iter().chain(ordered[i * each..][..each].iter().copied()).reduce(f);
        let data = (0..n).map(one).collect::<Option<Vec<_>>>().ok_or("reduces no integers at all")?;
        Ok(Some(vec![Value::Int(Ints { shape, data })]))
    }

    /// Products in pairs: half of an axis times the other half, until one element is left.
    pub(crate) fn product_over_axes(&mut self) -> Results {
        if let Some(known) = self.fold(Some(1), i64::wrapping_mul)? {
            return Ok(known);
        }
        let (x, reducing) = self.reducing()?;
        if reducing.axes.iter().any(|&axis| self.shape(x)[axis] == 0) {
            return Err("multiplies no elements at all".into());
        }
        let result = reducing.shape(self.shape(x));
        self.composed(|c| {
            let mut y = x;
            for axis in reducing.axes {
                while let shape = c.shape(y).to_vec()
                    && shape[axis] > 1
                {
                    let (n, half) = (shape[axis], shape[axis] / 2);
                    let first = c.move_elements(along(&shape, axis, 0, half, 1), y)?;
                    let second = c.move_elements(along(&shape, axis, half, half, 1), y)?;
                    let pairs = c.add_numbered(Arithmetic::Mul, &[first, second])?;
                    y = if n % 2 == 1 {
                        let odd = c.move_elements(along(&shape, axis, n - 1, 1, 1), y)?;
                        c.add_numbered(Movement::Concat { axis }, &[pairs, odd])?
                    } else {
                        pairs
                    };
                }
            }
            c.reshape(result, y)
        })
    }

    /// The largest element along axes, which stay, what lies below it, and ln Σ e^below: these are
    /// exponentials that are not too large for fixed point.
    pub(crate) fn log_of_sum(&mut self, x: NodeId, axes: Vec<usize>) -> Result<[NodeId; 3], Fault> {
        let largest = self.add_part("max", kept(Reduction::Max, axes.clone()), &[x])?;
        let below = self.add_part("below", Arithmetic::Sub, &[x, largest])?;
        let terms = self.add_part("exp", Function::EXP, &[below])?;
        let sum = self.add_part("sum", kept(Reduction::Sum, axes), &[terms])?;
        Ok([largest, below, self.add_part("log", Function::LOG, &[sum])?])
    }

    /// `x − max − ln Σ e^(x − max)`, along the last axis.
    pub(crate) fn log_softmax(&mut self, part: Option<&str>, x: NodeId) -> Result<NodeId, Fault> {
        let last = self.last_axis(x)?;
        let [_, below, logarithm] = self.log_of_sum(x, vec![last])?;
        self.add_part_or_result(part, Arithmetic::Sub, &[below, logarithm])
    }

    /// The last axis of an operand.
    pub(crate) fn last_axis(&self, x: NodeId) -> Result<usize, Fault> {
        let rank = self.shape(x).len();
        rank.checked_sub(1).ok_or_else(|| "the operand is a scalar: it has no last axis".into())
    }

    /// Where the largest element is along an axis, or the least: it is the largest of the
    /// negatives.
    pub(crate) fn place_of(&mut self, mut x: NodeId, axis: usize, largest: bool) -> Results {
        if !largest {
            let minus_one = self.add_number("minus_one", -1.0);
            x = self.add_part("negated", Arithmetic::Mul, &[x, minus_one])?;
        }
        self.result(Order::ArgMax { axis }, &[x])
    }

    /// Sums up to each element of an axis: a product with a triangle of ones.
    pub(crate) fn cumulated(&mut self) -> Results {
        let x = self.reals(0)?;
        let axis = axis(self.int(1)?, self.shape(x).len())?;
        let (exclusive, reverse) = (self.attr_flag("exclusive", false)?, self.attr_flag("reverse", false)?);
        let weights = Weights::triangle(self.shape(x)[axis], exclusive, reverse)?;
        self.composed(|c| compose::along(c, x, axis, weights))
    }
}
