//! Gradients of arithmetic: those of the broadcast operands, summed over what they were broadcast
//! along.

use super::places::narrow;
use super::{Step, finite};
use crate::graph::Array;
use crate::operations::arithmetic::combine;
use crate::operations::{Arithmetic, OpError, operands};

pub(super) fn towards(
    arithmetic: &Arithmetic,
    step: &Step<'_>,
    operand: usize,
) -> Result<Option<Array>, OpError> {
    let (result, gradient) = (&step.result.shape, step.gradient);
    let shape = &step.operands[operand].shape;
    let first = operand == 0;
    // What is made of the gradient and of another tensor.
    let with = |other: &Array, f: fn(f32, f32) -> f32| combine(gradient, other, result, f);
    // The gradient where a choice between the first two operands takes this one.
    let chosen = |takes_first: fn(f32, f32) -> bool| {
        let [a, b] = operands(arithmetic.name(), "two", step.operands)?;
        let share = |a: f32, b: f32| if takes_first(a, b) == first { 1.0 } else { 0.0 };
        let shares = combine(a, b, result, share);
        Ok(shares.into_iter().zip(gradient.data.iter()).map(|(share, g)| share * g).collect())
    };
    let back: Vec<f32> = match arithmetic {
        Arithmetic::Add if shape == result => return Ok(Some(gradient.clone())),
        Arithmetic::Add => gradient.data.to_vec(),
        Arithmetic::Sub if first && shape == result => return Ok(Some(gradient.clone())),
        Arithmetic::Sub if first => gradient.data.to_vec(),
        Arithmetic::Sub => gradient.data.iter().map(|g| -g).collect(),
        Arithmetic::Mul => {
            let [a, b] = operands(arithmetic.name(), "two", step.operands)?;
            with(if first { b } else { a }, |gradient, other| gradient * other)
        }
        Arithmetic::Div => {
            let [_, b] = operands(arithmetic.name(), "two", step.operands)?;
            let quotients = with(b, |gradient, b| finite(gradient / b));
            if first {
                quotients
            } else {
                quotients.iter().zip(step.result.data.iter()).map(|(q, result)| -q * result).collect()
            }
        }
        // As they are evaluated: the second of two equal ones.
        Arithmetic::Maximum => chosen(|a, b| a > b || a.is_nan())?,
        Arithmetic::Minimum => chosen(|a, b| a < b || a.is_nan())?,
        Arithmetic::Compare(_) => return Ok(None),
        Arithmetic::Select => {
            let [condition, _, _] = operands(arithmetic.name(), "three", step.operands)?;
            match operand {
                0 => return Ok(None),
                1 => with(condition, |gradient, c| if c != 0.0 { gradient } else { 0.0 }),
                // The third, b.
                _ => with(condition, |gradient, c| if c != 0.0 { 0.0 } else { gradient }),
            }
        }
    };
    narrow(back, result, shape).map(Some)
}
