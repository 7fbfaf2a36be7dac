//! Element by element: ReLU and its clipped form, softmax, the identity.

use super::{OpError, operands};
use crate::graph::{Array, Op};

pub(super) fn shape(op: &Op, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
    let [x] = operands(op, "one", inputs)?;
    if matches!(op, Op::Softmax) && x.is_empty() {
        return Err(OpError::shape(op.name(), "the operand is a scalar: it has no last axis"));
    }
    Ok(x.to_vec())
}

pub(super) fn evaluate(op: &Op, inputs: &[&Array]) -> Result<Array, OpError> {
    let [x] = operands(op, "one", inputs)?;
    let data = match op {
        Op::Relu => x.data.iter().map(|&v| if v < 0.0 { 0.0 } else { v }).collect(),
        Op::ClippedRelu { limit } => {
            // Comparisons and not `clamp`, so that a NaN stays one, as in TensorFlow.
            let clip = |v: f32| {
                if v < 0.0 {
                    0.0
                } else if v > *limit {
                    *limit
                } else {
                    v
                }
            };
            x.data.iter().map(|&v| clip(v)).collect()
        }
        Op::Softmax => softmax(&x.data, x.shape.last().copied().unwrap_or(1)),
        _ => return Ok(x.clone()),
    };
    Array::new(x.shape.clone(), data)
}

fn softmax(x: &[f32], columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(columns.max(1)) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let start = out.len();
        out.extend(row.iter().map(|v| (v - largest).exp()));
        let sum: f32 = out[start..].iter().sum();
        for v in &mut out[start..] {
            *v /= sum;
        }
    }
    out
}
