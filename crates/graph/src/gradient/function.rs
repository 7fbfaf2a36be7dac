//! Gradients of functions of one number, from their values: a function that is added to the
//! catalogue has its gradient.

use rayon::prelude::*;

use super::{Step, finite};
use crate::graph::Array;
use crate::operations::{Break, Breaks, Function, OpError};

pub(super) fn towards(function: &Function, step: &Step<'_>) -> Result<Array, OpError> {
    let x = step.only(function.name())?;
    let one = |(&x, &gradient): (&f32, &f32)| finite(slope(function, x.into()) as f32) * gradient;
    Array::new(x.shape.clone(), x.data.par_iter().zip(step.gradient.data.par_iter()).map(one).collect())
}

/// The slope at a number; that of the part above it where the function bends or jumps there, and
/// that of the side on which it is defined at the ends of its domain. Zero where it has no value.
fn slope(function: &Function, x: f64) -> f64 {
    if !x.is_finite() {
        return 0.0;
    }
    // Above what rounding in f64 hides, and below what a function bends within: that grows with the
    // number, but for steps, which are as far from each other everywhere.
    let h = match function.entry().breaks {
        Breaks::Steps(_) => 1e-6,
        Breaks::Nowhere | Breaks::At(_) => (x.abs() * 1e-6).max(1e-9),
    };
    let x = beside_breaks(function, x, h);
    let [below, here, above] = [x - h, x, x + h].map(|x| function.at(x));
    match [below, here, above].map(f64::is_finite) {
        [true, _, true] => (above - below) / (2.0 * h),
        [false, true, true] => (above - here) / h,
        [true, true, false] => (here - below) / h,
        [false, _, false] | [false, false, true] | [true, false, false] => 0.0,
    }
}

/// The number, or one close above it where a bend or a jump is nearer than the step.
fn beside_breaks(function: &Function, x: f64, h: f64) -> f64 {
    // From here on no number lies between two integers, and none is told from another one so near.
    const INTEGERS: f64 = (1u64 << 52) as f64;
    if x.abs() >= INTEGERS {
        return x;
    }
    // What lies around one number are a few steps.
    let breaks = function.breaks(x, x, 8).unwrap_or_default();
    let near = breaks.into_iter().map(|place| match place {
        Break::From(at) | Break::Above(at) => at,
    });
    near.filter(|at| (at - x).abs() <= h).fold(x, |x, at| x.max(at + 2.0 * h))
}
