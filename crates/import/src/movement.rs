//! Movements that operations of both frameworks are, of floats and of known integers alike.

use cryptflow_graph::NodeId;
use cryptflow_ring::Movement;

use crate::node::{Message, Node, Results, Value};
use crate::value::{Fault, Ints, along, axis};

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

    /// Elements of a value along an axis, at places that are known. Places in a shape of their own
    /// put it where the axis was.
    pub(crate) fn gathered(
        &mut self,
        value: &Value,
        axis: usize,
        indices: Vec<usize>,
        of: &[usize],
    ) -> Results {
        let from = self.shape_of_value(value)?;
        let shape = [&from[..axis], of, &from[axis + 1..]].concat();
        let steps = [Movement::Gather { axis, indices }, reshape_to(shape)];
        self.moved(value, steps.into_iter().take(if of.len() == 1 { 1 } else { 2 }))
    }

    /// Known indices; those that depend on an input would show it.
    pub(crate) fn indices(&self, i: usize) -> Result<Ints, Fault> {
        self.ints(i).map_err(|fault| match fault {
            Fault::Unsupported(_) => Fault::from(
                "picks elements by several indices each that depend on an input, which would show them. Do the look-up \
                 before the input, and cut the graph behind it with --input NAME=SHAPE; a Gather along one axis can be \
                 by secret ids",
            ),
            other => other,
        })
    }

    /// The node of indices that are secret; nothing where they are known.
    pub(crate) fn secret_indices(&self, i: usize) -> Option<NodeId> {
        match self.operand(i) {
            Ok(Value::Tensor(id)) if self.constant_of(*id).is_none() => Some(*id),
            Ok(_) | Err(_) => None,
        }
    }

    /// Parts of a value one after another along an axis, which they keep or lose; those without a
    /// name are left out.
    pub(crate) fn parts(
        &mut self,
        value: &Value,
        axis: usize,
        sizes: &[usize],
        drop: bool,
        name: impl Fn(&Self, usize) -> Option<String>,
    ) -> Results {
        let from = self.shape_of_value(value)?;
        let mut first = 0;
        let mut results = Vec::with_capacity(sizes.len());
        for (i, &size) in sizes.iter().enumerate() {
            let cut = along(&from, axis, first, size, 1);
            first += size;
            results.push(match name(self, i) {
                None => Value::Absent,
                Some(name) if drop => {
                    let mut shape = from.clone();
                    shape.remove(axis);
                    let part = self.move_value_as(format!("{}/slice_{i}", self.name), value, [cut])?;
                    self.move_value_as(name, &part, [reshape_to(shape)])?
                }
                Some(name) => self.move_value_as(name, value, [cut])?,
            });
        }
        Ok(results)
    }

    /// Operand 0 with its four axes, and the length of blocks that an attribute says.
    pub(crate) fn in_blocks(&self, attribute: &str) -> Result<(Value, [usize; 4], usize), Fault> {
        let (value, shape) = self.shaped(0)?;
        let four = <[usize; 4]>::try_from(shape.as_slice());
        let four =
            four.map_err(|_| format!("its operand must have four axes, but has the shape {shape:?}"))?;
        let size = usize::try_from(self.attr_int(attribute, 0)?).ok().filter(|s| (1..=1 << 10).contains(s));
        Ok((value, four, size.ok_or_else(|| M::wrong(attribute))?))
    }
}

/// The channels of each element, where so many are spread over blocks of `s` by `s`.
pub(crate) fn spread(channels: usize, s: usize) -> Result<usize, Fault> {
    if !channels.is_multiple_of(s * s) {
        return Err(format!("{channels} channels do not fill blocks of {s} by {s}").into());
    }
    Ok(channels / (s * s))
}

/// The rows and columns of blocks of `s` by `s`.
pub(crate) fn blocks([height, width]: [usize; 2], s: usize) -> Result<[usize; 2], Fault> {
    if !height.is_multiple_of(s) || !width.is_multiple_of(s) {
        return Err(format!("{height} by {width} is not made of blocks of {s} by {s}").into());
    }
    Ok([height / s, width / s])
}
