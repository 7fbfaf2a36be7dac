//! How many bits each step may shift out, and the rings that wide values need for that.
//!
//! A step that truncates by s bits leaves its result K − s − 1 bits (K − s where factors are
//! public). What follows needs some of them: its comparisons, a lift, its own bounds, and that of
//! every value that stays in this ring. Walking backwards gives the bits that each result needs;
//! what the ring has left goes to the precision of the weights.
//!
//! Where wide values have rings of their own, it is the other way round: a choice says how much the rounding of
//! all weights together may add to the errors of the outputs, and each ring has the bits for that. A bit more in a ring costs as much
//! as there are elements to widen, and takes three quarters of what the layer's weights add (in squares); so all bits are worth the same where each layer adds in
//! proportion to its operand's elements. What its weights add is known from a walk through the float model (see
//! [`crate::fix::bounded::sensitivity`]). Where it is not, there is a rule of thumb: rounding weights to t fractional
//! bits beyond what the operand's scale asks for leads to an error of the results, whose deviation is `√(n/12) · x / 2^t` units, for sums
//! of n products with operands of about x units; it lies the same number of bits below a unit, which is what the results' own rounding is about.

use cryptflow_operation::{Activation, Bounds, Form, Linear, Rectifier, Truncating, bits};

use super::alike;
use super::choice::{Choice, Rings};
use crate::fix::options::{WEIGHT_BITS, WORST_CASE_WEIGHT_BITS};
use crate::fix::planned::plan::{LinearTerm, Operation, Plan, PlanStep, Reals};
use crate::fix::units::exp2;
use crate::fix::{Already, FixError};

/// Bits of magnitude below which weights are too coarse to compute with.
const COARSEST_WEIGHT: u32 = 6;

/// Units below which the products of a layer do not matter, and neither does the precision of its
/// weights.
const NEGLIGIBLE: f64 = 0.25;

/// Bits of magnitude of the largest public factor, as many as a float has: an average over nine is
/// as exact as in the float model.
const FACTOR_BITS: u32 = 24;

/// Bits that the ring of an opened value has beyond its bounds: what leaves them shall not come around
/// into them, so that the client sees it.
const SEEN_OUTSIDE: u32 = 2;

/// Bits of the smallest ring.
pub(crate) const SMALLEST_RING: u32 = 16;

/// Bits of the smallest ring of a wide value's own.
const SMALLEST_OWN: u32 = 8;

/// What a truncating step wants.
struct Wish {
    /// Bits to shift out, if the ring has headroom.
    wanted: u32,
    /// The fewest bits that still make sense.
    coarsest: u32,
    /// Bits of the ring that must be left after the shift.
    kept: u32,
}

/// What follows from a choice.
pub(crate) struct Room {
    /// For each step the bits that it shifts out; zero where it shifts nothing.
    pub(crate) shifts: Vec<u32>,
    /// For each wide value the bits of its ring.
    pub(crate) rings: Vec<u32>,
    /// Bits of the largest ring.
    pub(crate) ring_bits: u32,
}

/// What follows from a choice.
pub(crate) fn room(
    plan: &Plan,
    bounds: &[Bounds],
    skipped: &[u32],
    choice: Choice,
) -> Result<Room, FixError> {
    let needed = needed_bits(plan, bounds, skipped, choice);
    for (index, value) in plan.values.iter().enumerate().filter(|(_, v)| v.wide) {
        if needed[index] > choice.ring_bits {
            return Err(misfit(&value.name, needed[index], choice));
        }
    }
    let (rings, ring_bits) = match choice.rings {
        Rings::One => (vec![choice.ring_bits; plan.values.len()], choice.ring_bits),
        Rings::Own(fine) => own_rings(plan, bounds, &needed, choice, fine),
    };
    let shift = |step: &PlanStep| {
        let ring = step.inputs.iter().map(|&input| rings[input]).min().unwrap_or(ring_bits);
        if let Operation::Product(_) = step.op {
            let shift = product_shift(plan, step, choice.scale);
            let kept = needed[step.output] + 1;
            if shift == 0 || kept + shift > ring {
                return Err(misfit(&step.name, kept + shift.max(1), choice));
            }
            return Ok((shift, shift));
        }
        let Some(wish) = wish(plan, bounds, step, needed[step.output], choice) else {
            return Ok((0, 0));
        };
        let shift = wish.wanted.min(ring.saturating_sub(wish.kept));
        if shift < wish.coarsest || wish.kept + shift > ring {
            return Err(misfit(&step.name, wish.kept + wish.coarsest, choice));
        }
        Ok((shift, wish.coarsest))
    };
    let all = plan.steps.iter().map(shift).collect::<Result<Vec<_>, _>>()?;
    let (mut shifts, coarsest): (Vec<u32>, Vec<u32>) = all.into_iter().unzip();
    alike::align(plan, &mut shifts, &coarsest);
    Ok(Room { shifts, rings, ring_bits })
}

/// For each wide value the ring that what is computed of it needs, and the largest of them, which is
/// that of the inputs. No ring has more bits than the choice allows for: then weights are less precise, or
/// do not fit.
fn own_rings(plan: &Plan, bounds: &[Bounds], needed: &[u32], choice: Choice, fine: f64) -> (Vec<u32>, u32) {
    let mut rings: Vec<u32> = needed.iter().map(|&bits| bits.max(SMALLEST_OWN)).collect();
    let mut largest = SMALLEST_RING;
    let aimed = aimed_bits(plan, bounds, needed, choice, fine);
    for (step, aimed) in plan.steps.iter().zip(aimed).rev() {
        let output = step.output;
        let due = match &step.op {
            Operation::Product(_) => needed[output] + 1 + product_shift(plan, step, choice.scale).max(1),
            Operation::Linear(_) | Operation::ScalePublic(_) => {
                let wish = wish(plan, bounds, step, needed[output], choice);
                wish.map_or(0, |wish| wish.kept + aimed)
            }
            // In the ring of its operand.
            Operation::Combine(_)
            | Operation::Activation(_)
            | Operation::MaxPool(_)
            | Operation::SumPool(_)
            | Operation::Add
            | Operation::Sub
            | Operation::Movement(_)
                if plan.values[output].wide =>
            {
                rings[output]
            }
            Operation::Combine(_)
            | Operation::Activation(_)
            | Operation::MaxPool(_)
            | Operation::SumPool(_)
            | Operation::Add
            | Operation::Sub
            | Operation::Movement(_)
            | Operation::Compare(_)
            | Operation::Widen => 0,
        };
        let due = due.min(choice.ring_bits);
        step.inputs.iter().for_each(|&input| rings[input] = rings[input].max(due));
        // A step without operands works in the largest ring.
        largest = largest.max(if step.inputs.is_empty() { due } else { 0 });
    }
    let wide = plan.values.iter().zip(&rings).filter(|(value, _)| value.wide).map(|(_, &ring)| ring);
    let largest = wide.fold(largest, u32::max);
    rings.iter_mut().take(plan.inputs).for_each(|ring| *ring = largest);
    // What is not widened is in the smallest ring of its operands.
    let wide =
        |step: &&PlanStep| step.inputs.iter().chain([&step.output]).all(|&value| plan.values[value].wide);
    for step in plan.steps.iter().filter(wide) {
        match &step.op {
            Operation::Widen | Operation::Compare(_) => {}
            Operation::Linear(_)
            | Operation::Product(_)
            | Operation::ScalePublic(_)
            | Operation::Combine(_)
            | Operation::Activation(_)
            | Operation::MaxPool(_)
            | Operation::SumPool(_)
            | Operation::Add
            | Operation::Sub
            | Operation::Movement(_) => {
                let operands = step.inputs.iter().map(|&input| rings[input]);
                rings[step.output] = operands.min().unwrap_or(largest);
            }
        }
    }
    (rings, largest)
}

/// For each step the bits that it should shift out, where its weights or factors are rounded.
fn aimed_bits(plan: &Plan, bounds: &[Bounds], needed: &[u32], choice: Choice, fine: f64) -> Vec<u32> {
    let weighed = weighed(plan);
    let of_step = |step: &PlanStep| match wish(plan, bounds, step, needed[step.output], choice) {
        Some(wish) => (wish.aimed(due_bits(plan, step, choice.scale, fine, weighed)), wish.coarsest),
        None => (0, 0),
    };
    let (mut aimed, coarsest): (Vec<u32>, Vec<u32>) = plan.steps.iter().map(of_step).unzip();
    // No ring has bits for what is lowered again.
    alike::align(plan, &mut aimed, &coarsest);
    aimed
}

/// The elements of the operands of a step.
fn operands(plan: &Plan, step: &PlanStep) -> f64 {
    let elements = |&value: &usize| plan.values[value].shape.iter().product::<usize>();
    step.inputs.iter().map(elements).sum::<usize>().max(1) as f64
}

/// What rounding the weights of a step to integers adds to the errors of outputs, where nothing is shifted
/// out: a mean square, as a part of what is allowed. None where it is not known.
fn added(plan: &Plan, step: &PlanStep) -> Option<f64> {
    let Operation::Linear(linear) = &step.op else { return None };
    let of_term = |term: &LinearTerm| {
        let rise = plan.values[step.output].extra - plan.values[step.inputs[term.input]].extra;
        Some(plan.weights[term.weight].matters? * f64::from(-2 * rise).exp2() / 12.0)
    };
    let sum: Option<f64> = linear.terms.iter().map(of_term).sum();
    sum.filter(|&sum| sum > 0.0)
}

/// The elements of all operands of layers of which it is known how much their weights matter.
fn weighed(plan: &Plan) -> f64 {
    plan.steps.iter().filter(|step| added(plan, step).is_some()).map(|step| operands(plan, step)).sum()
}

/// The bits to shift out so that rounding weights or factors adds no more than its part, so many bits below what is
/// allowed; all layers together have operands of `weighed` elements.
fn due_bits(plan: &Plan, step: &PlanStep, scale: u32, fine: f64, weighed: f64) -> f64 {
    if let Some(added) = added(plan, step) {
        return (added * weighed / operands(plan, step)).log2() / 2.0 + fine;
    }
    let units = |input: usize| plan.typical[input] * exp2(plan.values[input].scale(scale));
    let squares: f64 = match step.op.truncating() {
        Some(Truncating::Linear(linear)) => {
            linear.terms.iter().map(|t| t.map.terms() as f64 * units(step.inputs[t.input]).powi(2)).sum()
        }
        // One factor for each element.
        Some(Truncating::ScalePublic(_)) => step.inputs.iter().map(|&input| units(input).powi(2)).sum(),
        // What is not rounded.
        Some(Truncating::Product(_)) | None => 0.0,
    };
    (squares / 12.0).sqrt().max(1.0).log2() + fine
}

impl Wish {
    /// So many bits, or as many as make sense.
    fn aimed(&self, bits: f64) -> u32 {
        (bits.ceil().clamp(0.0, 64.0) as u32).clamp(self.coarsest, self.wanted.max(self.coarsest))
    }
}

/// Whether weights of two layers can be precise enough at one shift: the products of both have then as
/// many fractional bits. Each is the largest weight of a layer, with the fractional bits of its operand.
pub(crate) fn at_one_shift(one: (f32, i32), other: (f32, i32)) -> bool {
    let ends = |(largest, extra): (f32, i32)| {
        let most = fractional_bits(largest.into(), WEIGHT_BITS, 0) as i32 + extra;
        (most - (WEIGHT_BITS - COARSEST_WEIGHT) as i32, most)
    };
    let ((least, most), (other_least, other_most)) = (ends(one), ends(other));
    least.max(other_least) <= most.min(other_most)
}

/// What a step wants whose result needs so many bits; none if it does not truncate, or only as its
/// operands' scales say.
fn wish(plan: &Plan, bounds: &[Bounds], step: &PlanStep, needed: u32, choice: Choice) -> Option<Wish> {
    match step.op.truncating()? {
        Truncating::Linear(linear) => Some(linear_wish(plan, bounds, step, linear, needed, choice)),
        Truncating::ScalePublic(public) => Some(public_wish(plan, step, &public.factors, needed, choice)),
        Truncating::Product(_) => None,
    }
}

/// What a layer wants: precise weights.
fn linear_wish(
    plan: &Plan,
    bounds: &[Bounds],
    step: &PlanStep,
    linear: &Linear<Reals>,
    needed: u32,
    choice: Choice,
) -> Wish {
    if linear.terms.is_empty() {
        // A constant, rounded once and for all.
        return Wish { wanted: 0, coarsest: 0, kept: needed + 1 };
    }
    let largest = linear.terms.iter().fold(0.0f32, |m, t| m.max(plan.weights[t.weight].largest));
    let wanted = fractional_bits(largest.into(), choice.weight_bits, choice.scale);
    let bias = linear.bias.iter().flatten().fold(0.0f64, |m, b| m.max(b.abs()));
    let scale = plan.values[step.output].scale(choice.scale);
    let for_bias = fractional_bits(bias, 62, 124).saturating_sub(scale);
    let wanted = wanted.min(for_bias).max(1);
    // A result with more fractional bits than an operand leaves fewer to shift out, and the other
    // way round.
    let to = plan.values[step.output].extra;
    let from = linear.terms.iter().map(|t| plan.values[step.inputs[t.input]].extra - to);
    let (least, most) = (from.clone().min().unwrap_or(0), from.max().unwrap_or(0));
    // No term is left without a bit for its weights, and products have no more fractional bits than a
    // word has.
    let most_shifted = 64u32.saturating_sub(scale).max(1);
    let shift = |weight: u32| {
        let bits = weight.saturating_add_signed(least).max(1u32.saturating_add_signed(most)).max(1);
        bits.min(most_shifted)
    };
    // The most, in units, that all products together can come to.
    let products = linear.terms.iter().map(|t| {
        let x = bounds[step.inputs[t.input]].magnitude() as f64;
        let unit = f64::from(to - plan.values[step.inputs[t.input]].extra).exp2();
        unit * x * f64::from(plan.weights[t.weight].largest) * t.map.terms() as f64
    });
    if products.sum::<f64>() < NEGLIGIBLE {
        return Wish { wanted: shift(wanted.min(30)), coarsest: shift(1), kept: needed + 1 };
    }
    let fewest = if choice.may_round_weights { COARSEST_WEIGHT } else { WORST_CASE_WEIGHT_BITS };
    let coarsest = wanted.saturating_sub(choice.weight_bits.saturating_sub(fewest)).max(1);
    Wish { wanted: shift(wanted), coarsest: shift(coarsest), kept: needed + 1 }
}

/// What a multiplication by public factors wants: precise factors.
fn public_wish(plan: &Plan, step: &PlanStep, factors: &[f64], needed: u32, choice: Choice) -> Wish {
    let input = step.inputs.first().map_or(0, |&i| plan.values[i].extra);
    let from = input - plan.values[step.output].extra;
    let shift = |bits: u32| bits.saturating_add_signed(from).max(1);
    if let Some(exact) = exact_bits(factors) {
        return Wish { wanted: shift(exact), coarsest: shift(exact), kept: needed };
    }
    let largest = factors.iter().fold(0.0f64, |m, f| m.max(f.abs()));
    let bits = FACTOR_BITS.min(choice.weight_bits);
    let wanted = fractional_bits(largest, bits, choice.scale).max(1);
    let coarsest = wanted.saturating_sub(bits.saturating_sub(COARSEST_WEIGHT)).max(1);
    Wish { wanted: shift(wanted), coarsest: shift(coarsest), kept: needed }
}

/// What a product shifts out: its operands' fractional bits, less the result's.
fn product_shift(plan: &Plan, step: &PlanStep, scale: u32) -> u32 {
    let from: u32 = step.inputs.iter().map(|&i| plan.values[i].scale(scale)).sum();
    from.saturating_sub(plan.values[step.output].scale(scale))
}

fn misfit(name: &str, needed: u32, choice: Choice) -> FixError {
    FixError::DoesNotFit {
        layer: name.to_string(),
        needed,
        there: choice.ring_bits,
        scale: choice.scale,
        already: Already::default(),
    }
}

/// Bits of the ring that each value needs where it is: for its own bounds, and for what is done
/// with it in that ring.
fn needed_bits(
    plan: &Plan,
    bounds: &[Bounds],
    skipped: &[u32],
    Choice { scale, margin, .. }: Choice,
) -> Vec<u32> {
    let mut needed: Vec<u32> = bounds.iter().map(|b| bits::ring_bits(b.low, b.high).max(2)).collect();
    // Worst cases are not exceeded.
    if margin > 0.0 {
        plan.outputs.iter().for_each(|output| needed[output.value] += SEEN_OUTSIDE);
    }
    for (step, &skipped) in plan.steps.iter().zip(skipped).rev() {
        for &input in &step.inputs {
            let Bounds { low, high } = bounds[input];
            let narrow = !plan.values[step.output].wide;
            let (bits, same_ring) = match &step.op {
                Operation::Widen => (bits::widen_bits(low, high), false),
                Operation::Activation(Activation { function: Rectifier::Relu, .. }) => {
                    (bits::threshold_bits(low, high, &[0], skipped), narrow)
                }
                Operation::Activation(Activation { function: Rectifier::ClippedRelu { limit }, .. }) => {
                    let limit = Reals::limit_units(*limit, plan.values[input].scale(scale));
                    let own = bits::signed_bits_wide(0, limit.into());
                    (bits::clipped_bits(low, high, limit, skipped).max(own), narrow)
                }
                Operation::MaxPool(_) => (bits::difference_bits(low, high, skipped), true),
                Operation::Compare(compare) => {
                    (bits::threshold_bits(low, high, &compare.thresholds, skipped), false)
                }
                Operation::Add | Operation::Sub | Operation::Movement(_) | Operation::Combine(_) => (0, true),
                // Their operands are wide, and their results in a ring of their own.
                Operation::Linear(_)
                | Operation::Product(_)
                | Operation::ScalePublic(_)
                | Operation::SumPool(_) => (0, false),
            };
            let through = if same_ring { needed[step.output] } else { 0 };
            needed[input] = needed[input].max(bits).max(through);
        }
    }
    needed
}

/// The most fractional bits with which a number of this magnitude stays below `2^bits`; `otherwise`
/// for zero.
fn fractional_bits(magnitude: f64, bits: u32, otherwise: u32) -> u32 {
    if magnitude == 0.0 {
        return otherwise;
    }
    let headroom = ((exp2(bits) - 1.0) / magnitude).log2().floor();
    headroom.clamp(0.0, 124.0) as u32
}

/// The fractional bits with which all factors are exact, if they are powers of two.
fn exact_bits(factors: &[f64]) -> Option<u32> {
    let bits = |f: f64| {
        let n = -f.log2();
        (n >= 0.0 && n.fract() == 0.0).then_some(n as u32)
    };
    factors.iter().map(|&f| bits(f)).try_fold(1, |most: u32, n| n.map(|n| most.max(n)))
}
