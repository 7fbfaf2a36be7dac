//! Activations that the protocols know: ReLU and its clipped form, softmax.

use super::transposed::{BeforeTranspose, keeps_last};
use super::{OpError, operands};
use crate::graph::Array;
use crate::range::Range;
use crate::ranges::Operands;

/// An activation.
#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), limit)`.
    ClippedRelu {
        /// The limit: 6 for Relu6.
        limit: f32,
    },
    /// Softmax along the last axis.
    Softmax,
}

impl Activation {
    /// The operation's name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::ClippedRelu { .. } => "clipped relu",
            Activation::Softmax => "softmax",
        }
    }

    pub(super) fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
        let [x] = operands(self.name(), "one", inputs)?;
        match self {
            Activation::Softmax if x.is_empty() => {
                Err(OpError::shape(self.name(), "the operand is a scalar: it has no last axis"))
            }
            Activation::Relu | Activation::ClippedRelu { .. } | Activation::Softmax => Ok(x.to_vec()),
        }
    }

    pub(super) fn evaluate(&self, inputs: &[&Array]) -> Result<Array, OpError> {
        let [x] = operands(self.name(), "one", inputs)?;
        let data = match self {
            Activation::Relu => x.data.iter().map(|&v| if v < 0.0 { 0.0 } else { v }).collect(),
            Activation::ClippedRelu { limit } => {
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
            Activation::Softmax => softmax(&x.data, x.shape.last().copied().unwrap_or(1)),
        };
        Array::new(x.shape.clone(), data)
    }

    pub(super) fn image(&self, x: Range) -> Range {
        match self {
            Activation::Relu => x.map(|v| v.max(0.0)),
            Activation::ClippedRelu { limit } => Range { low: 0.0, high: (*limit).into() },
            Activation::Softmax => Range::FRACTION,
        }
    }

    pub(super) fn interval(&self, given: &Operands<'_>) -> Vec<Range> {
        match self {
            Activation::Relu => given.each(|r| r.map(|v| v.max(0.0))),
            Activation::ClippedRelu { limit } => {
                given.each(|r| r.map(|v| v.clamp(0.0, f64::from(*limit).max(0.0))))
            }
            Activation::Softmax => given.filled(Range::FRACTION),
        }
    }

    pub(super) fn before_transpose(&self, permutation: &[usize]) -> Option<BeforeTranspose> {
        let stays = match self {
            Activation::Relu | Activation::ClippedRelu { .. } => true,
            Activation::Softmax => keeps_last(permutation),
        };
        stays.then(|| BeforeTranspose::of_first(self.clone(), permutation))
    }
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
