//! The lowest bits that comparisons do not look at.

use cryptflow_operation::{Activation, Bounds, Compare, Form, MaxPool, Rectifier, bits};

use crate::fix::bounded::near::Near;
use crate::fix::planned::plan::{Operation, Plan, PlanStep, Reals, Skips};

/// The variance of a truncation's error, in squares of a unit.
const OF_ROUNDING: f64 = 0.25;

/// What skipped bits may lose, as a part of that.
const PART: f64 = 1.0;

/// For each step so many; none where it compares nothing.
pub(super) fn skipped(plan: &Plan, bounds: &[Bounds], scale: u32) -> Vec<u32> {
    let of_step = |(index, step): (usize, &PlanStep)| {
        let Some(&input) = step.inputs.first() else { return 0 };
        let (Bounds { low, high }, units) = (bounds[input], plan.values[input].scale(scale));
        // The bits that its comparisons have where they skip so many, and the largest number of these that makes sense.
        let needed = |s: u32| match &step.op {
            Operation::Activation(Activation { function: Rectifier::Relu, skipped, .. }) => {
                Some((*skipped, bits::threshold_bits(low, high, &[0], s), u64::MAX))
            }
            Operation::Activation(Activation {
                function: Rectifier::ClippedRelu { limit }, skipped, ..
            }) => {
                let limit = Reals::limit_units(*limit, units);
                Some((*skipped, bits::clipped_bits(low, high, limit, s), limit))
            }
            Operation::MaxPool(MaxPool { skipped, .. }) => {
                Some((*skipped, bits::difference_bits(low, high, s), u64::MAX))
            }
            Operation::Compare(Compare { thresholds, skipped, .. }) => {
                Some((*skipped, bits::threshold_bits(low, high, thresholds, s), u64::MAX))
            }
            Operation::Linear(_)
            | Operation::Product(_)
            | Operation::Combine(_)
            | Operation::ScalePublic(_)
            | Operation::Widen
            | Operation::SumPool(_)
            | Operation::Add
            | Operation::Sub
            | Operation::Movement(_) => None,
        };
        let Some((skips, all, _)) = needed(0) else { return 0 };
        let most = match skips {
            Skips::Nothing => 0,
            Skips::Units(bits) => bits,
            Skips::LikeRounding => plan.near.get(&index).map_or(0, |near| like_rounding(near, units)),
        };
        // They cost no bit of the ring, leave some to be compared, and keep zero and a limit apart.
        let fits = |&s: &u32| {
            needed(s).is_some_and(|(_, bits, limit)| {
                bits <= all && bits::smallest_comparison(s) <= all && bits::smallest_limit(s) <= limit
            })
        };
        (1..=most).rev().find(fits).unwrap_or(0)
    };
    plan.steps.iter().enumerate().map(of_step).collect()
}

/// As many as lose no more than rounding to units of 2^−scale does.
fn like_rounding(near: &Near, scale: u32) -> u32 {
    let unit = f64::from(scale).exp2().recip();
    let allowed = PART * OF_ROUNDING * unit * unit;
    let few_enough = |skipped: &u32| near.lost(*skipped as i32 - scale as i32) <= allowed;
    (1..62).take_while(few_enough).last().unwrap_or(0)
}
