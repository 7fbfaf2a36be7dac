//! Movements that operations of both frameworks are, of floats and of known integers alike.

use cryptflow_ring::Movement;

use crate::node::{Message, Node, Results, Value};
use crate::value::{Fault, Ints, axis};

pub(crate) fn reshape_to(shape: Vec<usize>) -> Movement {
    Movement::Reshape { shape }
}

impl<M: Message> Node<'_, M> {
    /// Drops these axes of the operand, which are of one element; all such where none are named.
    pub(crate) fn squeezed(&mut self, axes: Option<&[usize]>) -> Results {
        let (value, from) = self.shaped(0)?;
        if let Some(axis) = axes.iter().copied().flatten().find(|&&a| from[a] != 1) {
            return Err(format!("drops axis {axis} of {from:?}, which is longer than 1").into());
        }
        let dropped = |i: usize| axes.map_or(from[i] == 1, |axes| axes.contains(&i));
        let shape = (0..from.len()).filter(|&i| !dropped(i)).map(|i| from[i]).collect();
        self.moved(&value, [reshape_to(shape)])
    }

    /// Values one after another along an axis: known integers, or what can be computed
    /// on.
    pub(crate) fn joined(&mut self, values: &[Value], axis: usize) -> Result<Value, Fault> {
        let ints: Vec<&Ints> = values.iter().filter_map(Value::ints).collect();
        if let (true, Some((first, rest))) = (ints.len() == values.len(), ints.split_first()) {
            return Ok(Value::Int(first.moved(&Movement::Concat { axis }, rest)?));
        }
        // Known integers beside those that depend on an input, which are floats.
        let tensors = values.iter().enumerate().map(|(i, v)| self.tensor_of(v, &format!("operand_{i}")));
        let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
        Ok(Value::Tensor(self.add(Movement::Concat { axis }, &tensors)?))
    }

    /// These operands, and the axis of the first of them that a number means.
    pub(crate) fn to_join(
        &self,
        operands: std::ops::Range<usize>,
        along: impl FnOnce(&Self) -> Result<i64, Fault>,
    ) -> Result<(Vec<Value>, usize), Fault> {
        let values = operands.map(|i| self.operand(i).cloned()).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = values.first() else {
            return Err("concatenates nothing".into());
        };
        let rank = self.shape_of_value(first)?.len();
        let axis = axis(along(self)?, rank)?;
        Ok((values, axis))
    }

    /// The operand as often along each axis as operand 1 says: `[n] → [1, n] → [m, n] → [m·n]`.
    pub(crate) fn tiled(&mut self) -> Results {
        let (value, from) = self.shaped(0)?;
        let times = self.lengths(1)?;
        if times.len() != from.len() {
            return Err(format!("repeats {from:?} {times:?} times: one number an axis is needed").into());
        }
        let split = from.iter().flat_map(|&n| [1, n]).collect();
        let wide = times.iter().zip(&from).flat_map(|(&m, &n)| [m, n]).collect();
        let shape = times.iter().zip(&from).map(|(&m, &n)| m.saturating_mul(n)).collect();
        self.moved(&value, [reshape_to(split), Movement::Broadcast { shape: wide }, reshape_to(shape)])
    }
}
