//! Gradients of activations.

use super::places::narrow;
use super::{Step, finite};
use crate::graph::Array;
use crate::operations::{Activation, OpError};

pub(super) fn towards(
    activation: &Activation,
    step: &Step<'_>,
    operand: usize,
) -> Result<Option<Array>, OpError> {
    let x = step.operands[operand];
    match activation {
        Activation::Relu => where_open(x, step, |x| x > 0.0).map(Some),
        Activation::ClippedRelu { limit } => where_open(x, step, |x| x > 0.0 && x < *limit).map(Some),
        // A hidden place has the weight zero, and stays at it.
        Activation::Softmax => narrow(softmax(step), &step.result.shape, &x.shape).map(Some),
        Activation::MaskedSoftmax if operand == 0 => {
            narrow(softmax(step), &step.result.shape, &x.shape).map(Some)
        }
        // What hides is a flag.
        Activation::MaskedSoftmax => Ok(None),
    }
}

/// The gradient where the operand lets it through.
fn where_open(x: &Array, step: &Step<'_>, open: impl Fn(f32) -> bool) -> Result<Array, OpError> {
    let one = |(&x, &gradient): (&f32, &f32)| if open(x) { gradient } else { 0.0 };
    Array::new(x.shape.clone(), x.data.iter().zip(step.gradient.data.iter()).map(one).collect())
}

/// `weight · (gradient − Σ weight · gradient)` for each row.
fn softmax(step: &Step<'_>) -> Vec<f32> {
    let columns = step.result.shape.last().copied().unwrap_or(1).max(1);
    let mut back = Vec::with_capacity(step.result.data.len());
    let rows = step.result.data.chunks_exact(columns).zip(step.gradient.data.chunks_exact(columns));
    for (weights, gradient) in rows {
        let product = |(&w, &g): (&f32, &f32)| f64::from(w) * f64::from(g);
        let mean: f64 = weights.iter().zip(gradient).map(product).sum();
        back.extend(
            weights
                .iter()
                .zip(gradient)
                .map(|(&w, &g)| finite((f64::from(w) * (f64::from(g) - mean)) as f32)),
        );
    }
    back
}
