//! Movements of elements: reshape, transpose, pad, slice, concatenate, broadcast. One definition serves fixed point and
//! floats: [`Movement`]'s own.

use cryptflow_ring::Movement;

use super::OpError;
use crate::graph::{Array, Op};

pub(super) fn shape(op: &Op, movement: &Movement, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
    movement.output_shape(inputs).map_err(|source| OpError::Geometry { op: op.name(), source })
}

pub(super) fn evaluate(
    op: &Op,
    movement: &Movement,
    inputs: &[&Array],
    result: Vec<usize>,
) -> Result<Array, OpError> {
    // A reshape shares its operand's elements.
    if let (Movement::Reshape { .. }, [x]) = (movement, inputs) {
        return Ok(Array { shape: result, data: x.data.clone() });
    }
    let parts: Vec<(&[usize], &[f32])> =
        inputs.iter().map(|a| (a.shape.as_slice(), a.data.as_slice())).collect();
    let data = movement.apply(&parts).map_err(|source| OpError::Geometry { op: op.name(), source })?;
    Array::new(result, data)
}
