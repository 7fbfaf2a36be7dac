//! Movements of elements: reshape, transpose, pad, slice, concatenate, broadcast. One definition
//! serves fixed point and floats: [`Movement`]'s own.

use cryptflow_ring::Movement;

use super::OpError;
use super::transposed::{BeforeTranspose, Moved, before};
use crate::graph::Array;
use crate::range::Range;
use crate::ranges::Operands;

pub(super) fn shape(movement: &Movement, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
    movement.output_shape(inputs).map_err(|source| OpError::Geometry { op: movement.name(), source })
}

pub(super) fn evaluate(movement: &Movement, inputs: &[&Array], result: Vec<usize>) -> Result<Array, OpError> {
    // A reshape shares its operand's elements.
    if let (Movement::Reshape { .. }, [x]) = (movement, inputs) {
        return Ok(Array { shape: result, data: x.data.clone() });
    }
    let parts: Vec<(&[usize], &[f32])> =
        inputs.iter().map(|a| (a.shape.as_slice(), a.data.as_slice())).collect();
    let data = movement.apply(&parts).map_err(|source| OpError::Geometry { op: movement.name(), source })?;
    Array::new(result, data)
}

pub(super) fn image(movement: &Movement, operands: &[Range]) -> Range {
    let all = Range::of_all(operands);
    match movement {
        Movement::Pad { .. } => all.with_zero(),
        Movement::Reshape { .. } | Movement::Transpose { .. } | Movement::Slice { .. } => all,
        Movement::Concat { .. } | Movement::Broadcast { .. } | Movement::Gather { .. } => all,
    }
}

pub(super) fn interval(movement: &Movement, given: &Operands<'_>) -> Vec<Range> {
    let (x, n, rank) = (given.first(), given.channels, given.shape(0).len());
    match movement {
        Movement::Reshape { .. } if !x.is_empty() && n.is_multiple_of(x.len()) => {
            x.iter().copied().cycle().take(n).collect()
        }
        Movement::Transpose { permutation } if permutation.last() == Some(&rank.wrapping_sub(1)) => {
            x.to_vec()
        }
        Movement::Pad { before, after } => {
            let any = before.iter().chain(after).any(|&p| p > 0);
            let zeros = |padding: &[usize]| {
                std::iter::repeat_n(Range { low: 0.0, high: 0.0 }, padding.last().copied().unwrap_or(0))
            };
            let middle = x.iter().map(|r| if any { r.with_zero() } else { *r });
            zeros(before).chain(middle).chain(zeros(after)).collect()
        }
        Movement::Concat { axis } if axis + 1 == rank => {
            given.all.iter().flat_map(|operand| operand.channels).copied().collect()
        }
        Movement::Concat { .. } => {
            let at = |i| given.all.iter().filter_map(move |operand| operand.channels.get(i));
            (0..n).map(|i| at(i).fold(Range::EMPTY, |a, &b| a.union(b))).collect()
        }
        Movement::Broadcast { .. } if x.len() == n => x.to_vec(),
        Movement::Gather { axis, .. } if axis + 1 != rank => x.to_vec(),
        Movement::Reshape { .. } | Movement::Transpose { .. } | Movement::Slice { .. } => whole(given),
        Movement::Broadcast { .. } | Movement::Gather { .. } => whole(given),
    }
}

/// The range of all operands, for every channel.
fn whole(given: &Operands<'_>) -> Vec<Range> {
    let all = (0..given.all.len()).fold(Range::EMPTY, |r, i| r.union(given.whole(i)));
    given.filled(all)
}

pub(super) fn before_transpose(movement: &Movement, p: &[usize]) -> Option<BeforeTranspose> {
    let moved = match movement {
        Movement::Concat { axis } => {
            let concat = Movement::Concat { axis: *p.get(*axis)? };
            return Some(BeforeTranspose::new(concat, Moved::All { broadcast: false }, p));
        }
        Movement::Pad { before: b, after: a } => {
            Movement::Pad { before: before(b, p)?, after: before(a, p)? }
        }
        Movement::Slice { begin, size, stride } => {
            Movement::Slice { begin: before(begin, p)?, size: before(size, p)?, stride: before(stride, p)? }
        }
        Movement::Gather { axis, indices } => {
            Movement::Gather { axis: *p.get(*axis)?, indices: indices.clone() }
        }
        Movement::Broadcast { shape } if shape.len() == p.len() => {
            Movement::Broadcast { shape: before(shape, p)? }
        }
        Movement::Broadcast { .. } | Movement::Reshape { .. } | Movement::Transpose { .. } => return None,
    };
    Some(BeforeTranspose::of_first(moved, p))
}
