//! The integers that each value of a plan stays within: its range, widened by the margin and by
//! rounding, where they do not follow from what it is computed of.

use cryptflow_operation::{Bounds, Reach};

use super::plan::{Operation, Plan, PlanValue};
use crate::fix::units::exp2;

/// Leading bits of a bound that count.
const BOUND_BITS: u32 = 7;

/// Units that a bound exceeds the range of a value by, beside the margin: a truncation's rounding
/// is within 1.5.
pub(crate) const ROUNDING: i64 = 2;

/// No bound is tighter than this many units: the noise of earlier layers passes through layers that
/// hardly react.
const SMALLEST_BOUND: i64 = 64;

/// The bounds of every value, in units: see [`own_bounds`] and [`result_bounds`].
pub(crate) fn value_bounds(plan: &Plan, scale: u32, margin: f64) -> Vec<Bounds> {
    let mut bounds: Vec<Bounds> = plan.values.iter().map(|v| own_bounds(v, scale, margin)).collect();
    for step in &plan.steps {
        let inputs: Vec<Bounds> = step.inputs.iter().map(|&i| bounds[i]).collect();
        let value = &plan.values[step.output];
        bounds[step.output] = result_bounds(&step.op, &inputs, value, scale, margin);
    }
    bounds
}

/// The bounds of a value by itself: the range, widened by the margin and by the rounding.
pub(crate) fn own_bounds(value: &PlanValue, scale: u32, margin: f64) -> Bounds {
    if let Some(stated) = value.limits.stated() {
        return stated;
    }
    let range = value.range.with_zero();
    let wider = (margin + f64::from(value.room)).exp2() * exp2(value.scale(scale));
    let smallest = smallest_bound(value);
    let bound = |end: f64| {
        let units = (end.abs() * wider).ceil().min(9e18) as i64;
        coarse(units.saturating_add(ROUNDING).max(smallest))
    };
    Bounds { low: -bound(range.low), high: bound(range.high) }
}

/// Where a side on which nothing was seen ends: rounding alone leads there, that of what the value is
/// computed of with it.
pub(crate) fn smallest_bound(value: &PlanValue) -> i64 {
    SMALLEST_BOUND << value.extra.saturating_sub(value.noise).clamp(0, 32)
}

/// The largest number with the same [`BOUND_BITS`] leading bits. It takes no more bits than the
/// number itself; and bounds of two forms of one model, whose floats differ in their last digits,
/// are the same, nor do they show the parties more than that of the examples.
fn coarse(bound: i64) -> i64 {
    let bits = 64 - bound.leading_zeros();
    bound | ((1i64 << bits.saturating_sub(BOUND_BITS).min(62)) - 1)
}

/// The bounds of a step's result, for its operands': by the operation's rule where they follow from
/// them, the value's own otherwise.
pub(crate) fn result_bounds(
    op: &Operation,
    operands: &[Bounds],
    value: &PlanValue,
    scale: u32,
    margin: f64,
) -> Bounds {
    match op.reach(operands, value.scale(scale)) {
        Reach::Follows(bounds) | Reach::Always(bounds) => bounds,
        // What is never negative needs no headroom below zero.
        Reach::NotNegative => Bounds { low: 0, ..own_bounds(value, scale, margin) },
        Reach::Data => own_bounds(value, scale, margin),
    }
}
