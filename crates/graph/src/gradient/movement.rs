//! Gradients of movements: every element goes back to where it came from.

use cryptflow_ring::Movement;

use super::Step;
use super::places::sum_back;
use crate::graph::Array;
use crate::operations::OpError;

pub(super) fn towards(movement: &Movement, step: &Step<'_>, operand: usize) -> Result<Array, OpError> {
    let (x, gradient) = (step.operands[operand], step.gradient);
    let moved = |back: Movement| {
        let data = back
            .apply(&[(&gradient.shape, &gradient.data)])
            .map_err(|source| OpError::Geometry { op: movement.name(), source })?;
        Array::new(x.shape.clone(), data)
    };
    match movement {
        Movement::Reshape { .. } => Ok(Array { shape: x.shape.clone(), data: gradient.data.clone() }),
        Movement::Transpose { permutation } => {
            let mut inverse = vec![0; permutation.len()];
            permutation.iter().enumerate().for_each(|(i, &p)| inverse[p] = i);
            moved(Movement::Transpose { permutation: inverse })
        }
        Movement::Concat { axis } => {
            let mut begin = vec![0; x.shape.len()];
            begin[*axis] = step.operands[..operand].iter().map(|before| before.shape[*axis]).sum();
            moved(Movement::Slice { begin, size: x.shape.clone(), stride: vec![1; x.shape.len()] })
        }
        Movement::Pad { .. }
        | Movement::Slice { .. }
        | Movement::Broadcast { .. }
        | Movement::Gather { .. } => sum_back(movement, &gradient.data, &x.shape),
    }
}
