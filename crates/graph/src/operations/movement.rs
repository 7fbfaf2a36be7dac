//! Movements of elements: reshape, transpose, pad, slice, concatenate, broadcast. One definition serves fixed point and
//! floats: [`Movement`]'s own.

use cryptflow_ring::Movement;

use super::OpError;
use crate::graph::Array;

/// The movement's name in reports.
pub(super) fn name(movement: &Movement) -> &'static str {
    match movement {
        Movement::Reshape { .. } => "reshape",
        Movement::Transpose { .. } => "transpose",
        Movement::Pad { .. } => "pad",
        Movement::Slice { .. } => "slice",
        Movement::Concat { .. } => "concat",
        Movement::Broadcast { .. } => "broadcast",
        Movement::Gather { .. } => "gather",
    }
}

pub(super) fn shape(movement: &Movement, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
    movement.output_shape(inputs).map_err(|source| OpError::Geometry { op: name(movement), source })
}

pub(super) fn evaluate(movement: &Movement, inputs: &[&Array], result: Vec<usize>) -> Result<Array, OpError> {
    // A reshape shares its operand's elements.
    if let (Movement::Reshape { .. }, [x]) = (movement, inputs) {
        return Ok(Array { shape: result, data: x.data.clone() });
    }
    let parts: Vec<(&[usize], &[f32])> =
        inputs.iter().map(|a| (a.shape.as_slice(), a.data.as_slice())).collect();
    let data = movement.apply(&parts).map_err(|source| OpError::Geometry { op: name(movement), source })?;
    Array::new(result, data)
}
