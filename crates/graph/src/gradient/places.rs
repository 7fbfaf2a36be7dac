//! Where elements come from: sums over what has come from one element.

use cryptflow_ring::Movement;

use super::finite;
use crate::graph::Array;
use crate::operations::OpError;

/// For each element of a movement's result, the element of its operand, counted from 1; 0 is
/// padding.
pub(super) fn origins(movement: &Movement, operand: &[usize]) -> Result<Vec<usize>, OpError> {
    let numbers: Vec<usize> = (1..=operand.iter().product()).collect();
    movement.apply(&[(operand, &numbers)]).map_err(|source| OpError::Geometry { op: movement.name(), source })
}

/// The gradient of a movement's operand of this shape: each element has the sum of what came from
/// it.
pub(super) fn sum_back(movement: &Movement, gradient: &[f32], operand: &[usize]) -> Result<Array, OpError> {
    // In f64: a broadcast sums many. The first sum is that of padding.
    let mut sums = vec![0.0f64; operand.iter().product::<usize>() + 1];
    for (&origin, &v) in origins(movement, operand)?.iter().zip(gradient) {
        sums[origin] += f64::from(finite(v));
    }
    Array::new(operand.to_vec(), sums.into_iter().skip(1).map(|v| v as f32).collect())
}

/// The gradient of an operand of this shape that was broadcast to another one.
pub(super) fn narrow(gradient: Vec<f32>, shape: &[usize], operand: &[usize]) -> Result<Array, OpError> {
    if shape == operand {
        return Array::new(operand.to_vec(), gradient);
    }
    sum_back(&Movement::Broadcast { shape: shape.to_vec() }, &gradient, operand)
}
