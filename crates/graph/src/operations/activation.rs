//! Activations that the protocols know: ReLU and its clipped form, softmax and its masked form.

use super::arithmetic::{broadcast, combine};
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
    /// Softmax along the last axis of the places that are not hidden; a hidden one has the weight
    /// zero. Operands: x, and what is not zero where a place is hidden, broadcasting. A row in which
    /// all are hidden is zero: models guard against the NaN that it would be.
    MaskedSoftmax,
}

impl Activation {
    /// The operation's name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::ClippedRelu { .. } => "clipped relu",
            Activation::Softmax => "softmax",
            Activation::MaskedSoftmax => "masked softmax",
        }
    }

    pub(super) fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
        let scalar = || OpError::shape(self.name(), "the operand is a scalar: it has no last axis");
        if matches!(self, Activation::MaskedSoftmax) {
            let [x, hidden] = operands(self.name(), "two (x, hidden)", inputs)?;
            let shape = broadcast(x, hidden).ok_or_else(|| {
                OpError::shape(self.name(), format!("{x:?} and {hidden:?} do not broadcast"))
            })?;
            return if shape.is_empty() { Err(scalar()) } else { Ok(shape) };
        }
        let [x] = operands(self.name(), "one", inputs)?;
        if matches!(self, Activation::Softmax) && x.is_empty() {
            return Err(scalar());
        }
        Ok(x.to_vec())
    }

    pub(super) fn evaluate(&self, inputs: &[&Array], result: Vec<usize>) -> Result<Array, OpError> {
        if matches!(self, Activation::MaskedSoftmax) {
            let [x, hidden] = operands(self.name(), "two (x, hidden)", inputs)?;
            let hide = |x: f32, hidden: f32| if hidden == 0.0 { x } else { f32::NEG_INFINITY };
            let masked = combine(x, hidden, &result, hide);
            let columns = result.last().copied().unwrap_or(1).max(1);
            let mut weights = softmax(&masked, columns);
            for (row, masked) in weights.chunks_exact_mut(columns).zip(masked.chunks_exact(columns)) {
                if masked.iter().all(|&v| v == f32::NEG_INFINITY) {
                    row.fill(0.0);
                }
            }
            return Array::new(result, weights);
        }
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
            Activation::Softmax | Activation::MaskedSoftmax => {
                softmax(&x.data, x.shape.last().copied().unwrap_or(1))
            }
        };
        Array::new(result, data)
    }

    pub(super) fn image(&self, x: Range) -> Range {
        match self {
            Activation::Relu => x.map(|v| v.max(0.0)),
            Activation::ClippedRelu { limit } => Range { low: 0.0, high: (*limit).into() },
            Activation::Softmax | Activation::MaskedSoftmax => Range::FRACTION,
        }
    }

    pub(super) fn interval(&self, given: &Operands<'_>) -> Vec<Range> {
        match self {
            Activation::Relu => given.each(|r| r.map(|v| v.max(0.0))),
            Activation::ClippedRelu { limit } => {
                given.each(|r| r.map(|v| v.clamp(0.0, f64::from(*limit).max(0.0))))
            }
            Activation::Softmax | Activation::MaskedSoftmax => given.filled(Range::FRACTION),
        }
    }

    pub(super) fn before_transpose(&self, permutation: &[usize]) -> Option<BeforeTranspose> {
        let stays = match self {
            Activation::Relu | Activation::ClippedRelu { .. } => true,
            Activation::Softmax => keeps_last(permutation),
            // Its second operand would have to move, too.
            Activation::MaskedSoftmax => false,
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
