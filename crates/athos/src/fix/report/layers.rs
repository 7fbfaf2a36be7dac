//! The layers of a program: what their values need, and what they have.

use cryptflow_operation::{Activation, Bounds, Compare, Linear, MaxPool, Operation, Reach, bits};
use cryptflow_program::{Checked, Step};

use super::LayerReport;
use super::measure::Difference;
use crate::fix::planned::plan::Plan;
use crate::fix::quantised::Quantised;
use crate::fix::units::exp2;

/// For each weight the signed bits that its largest element takes.
pub(super) fn weight_bits(quantised: &Quantised) -> Vec<u32> {
    let bits = |data: Vec<i64>| {
        let Bounds { low, high } = Bounds::of(data.iter().copied());
        bits::ring_bits(low, high)
    };
    quantised.numbers.each().map(bits).collect()
}

/// The layers in the order in which they run, and warnings of those that left their bounds.
pub(super) fn describe(
    plan: &Plan,
    quantised: &Quantised,
    weight_bits: &[u32],
    differences: &[Difference],
) -> (Vec<LayerReport>, Vec<String>) {
    let program = &quantised.program;
    let there = bits_there(program);
    let follows = follows(plan, quantised);
    let (mut layers, mut exceeded) = (Vec::new(), Vec::new());
    for step in &program.steps {
        let id = step.output.0;
        let (value, difference) = (&program.values[id], &differences[id]);
        let Bounds { low: lowest, high: highest } = difference.seen.unwrap_or(value.bounds());
        if lowest < value.low || highest > value.high {
            exceeded.push(format!(
                "{}: fixed point takes values from {} to {} where {} to {} was planned; give more calibration data or a \
                 larger --margin",
                step.name, lowest, highest, value.low, value.high
            ));
        }
        if matches!(step.operation, Operation::Widen | Operation::Movement(_)) {
            continue;
        }
        let range = plan.values[quantised.values[id]].range;
        layers.push(layer(
            (quantised, weight_bits),
            step,
            range.magnitude(),
            difference,
            there[id],
            !follows[id],
        ));
    }
    (layers, exceeded)
}

/// One layer whose values have this magnitude by their range, and so many bits in which they are
/// exact. `bounded`: its bounds are its own, so that its margin counts.
fn layer(
    (quantised, weight_bits): (&Quantised, &[u32]),
    step: &Step,
    magnitude: f64,
    difference: &Difference,
    bits_there: u32,
    bounded: bool,
) -> LayerReport {
    let program = &quantised.program;
    let value = &program.values[step.output.0];
    let unit = exp2(value.scale);
    let seen = difference.seen.map_or(0, Bounds::magnitude);
    let largest = magnitude.max(seen as f64 / unit);
    let units = (largest * unit).ceil().min(9e18) as i64;
    let limit = exp2(bits_there.saturating_sub(1));
    let margin = if units > 0 { (limit / units as f64).log2() } else { f64::from(bits_there) };
    let weight = match &step.operation {
        Operation::Linear(Linear { terms, .. }) => terms.first().map(|t| t.weight.0),
        // Nothing else has weights.
        _ => None,
    };
    let weight_bits = weight.and_then(|w| weight_bits.get(w)).copied();
    let measured = difference.count > 0;
    LayerReport {
        name: step.name.clone(),
        operation: step.operation.name().to_string(),
        shape: value.shape.clone(),
        largest,
        bits_needed: bits::ring_bits(-units, units),
        bits_there,
        margin: bounded.then_some(margin),
        weight_scale: weight.and_then(|w| program.weights.get(w)).map(|w| w.scale),
        weight_bits,
        rms_error: measured.then(|| (difference.squares / difference.count as f64).sqrt()),
        max_error: measured.then_some(difference.largest),
    }
}

/// For each value, whether its bounds follow from those of what it is computed of, not from what
/// was seen of it.
fn follows(plan: &Plan, quantised: &Quantised) -> Vec<bool> {
    let program = &quantised.program;
    let stated = |&planned: &usize| plan.values[planned].limits.stated().is_some();
    let mut follows: Vec<bool> = quantised.values.iter().map(stated).collect();
    for step in &program.steps {
        let operands: Vec<Bounds> = step.inputs.iter().map(|id| program.values[id.0].bounds()).collect();
        let out = step.output.0;
        follows[out] |= match step.operation.reach(&operands, program.values[out].scale) {
            Reach::Always(_) => true,
            Reach::Follows(_) => step.inputs.iter().all(|input| follows[input.0]),
            Reach::NotNegative | Reach::Data => false,
        };
    }
    follows
}

/// For each value the bits within which everything that is done with it is exact: of its ring, or
/// of a comparison.
fn bits_there(program: &Checked) -> Vec<u32> {
    let mut there = program.rings().to_vec();
    for step in &program.steps {
        let Some(slot) = step.inputs.first().and_then(|id| there.get_mut(id.0)) else {
            continue;
        };
        match &step.operation {
            Operation::Activation(Activation { compare_bits, .. })
            | Operation::Compare(Compare { compare_bits, .. }) => *slot = (*slot).min(*compare_bits),
            // The difference of two elements takes one bit more than the elements, where they can
            // be negative.
            Operation::MaxPool(MaxPool { compare_bits, .. }) => {
                let signed =
                    step.inputs.first().and_then(|id| program.values.get(id.0)).is_some_and(|v| v.low < 0);
                *slot = (*slot).min(compare_bits.saturating_sub(signed.into()));
            }
            Operation::Widen => *slot = (*slot).saturating_sub(1),
            Operation::Linear(_)
            | Operation::Product(_)
            | Operation::Combine(_)
            | Operation::ScalePublic(_)
            | Operation::SumPool(_)
            | Operation::Add
            | Operation::Sub
            | Operation::Movement(_) => {}
        }
    }
    there
}
