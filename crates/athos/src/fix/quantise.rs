//! Quantising: from the plan, a scale and a ring to the fixed-point program and its weights.

mod room;
mod weights;

use cryptflow_program::operation::LinearTerm;
use cryptflow_program::{
    Activation, Input, Operation, Output, Preprocessing, Program, Step, VERSION, Value, ValueId, bounds,
    liveness, validate,
};

use super::FixError;
use cryptflow_ring::Movement;

use super::plan::{Plan, PlanOp, PlanStep, PlanValue};
use weights::Weights;

/// The numbers that decide what the plan becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Choice {
    /// Fractional bits of activations.
    pub(crate) scale: u32,
    /// K.
    pub(crate) ring_bits: u32,
    /// Bits by which bounds exceed the ranges.
    pub(crate) margin: f64,
    /// Whether weights may lose precision where the ring is small.
    pub(crate) may_round_weights: bool,
    /// Bits of magnitude of a layer's largest weight, at most.
    pub(crate) weight_bits: u32,
}

/// A quantised plan. Value `i` of the program is value `values[i]` of the plan.
#[derive(Clone, Debug)]
pub(crate) struct Quantised {
    pub(crate) program: Program,
    pub(crate) weights: Vec<Vec<i64>>,
    pub(crate) values: Vec<usize>,
}

/// Bits of magnitude that a layer's largest weight gets, if the ring has room: all that 32 bits in the file hold, which is more than
/// a float has. It costs no traffic; on the contrary, what a truncation shifts out, later messages need not carry.
pub(crate) const WEIGHT_BITS: u32 = 31;

/// Bits of magnitude that it must have where bounds are worst cases, which allow for this much rounding and no more.
pub(crate) const WORST_CASE_WEIGHT_BITS: u32 = 15;

/// Leading bits of a bound that count.
const BOUND_BITS: u32 = 7;

/// Units that a bound exceeds the range of a value by, beside the margin: a truncation's rounding is within 1.5.
const ROUNDING: i64 = 2;

/// No bound is tighter than this many units: the noise of earlier layers passes through layers that hardly react.
const SMALLEST_BOUND: i64 = 64;

/// Makes the program. How its inputs are prepared is left to the caller.
///
/// # Errors
/// Where a value does not fit the ring.
pub(crate) fn quantise(plan: &Plan, name: &str, choice: Choice) -> Result<Quantised, FixError> {
    let bounds = value_bounds(plan, choice);
    let shifts = room::shifts(plan, &bounds, choice)?;
    let mut weights = Weights::new(plan);
    let mut values: Vec<usize> = (0..plan.inputs).collect();
    let mut ids = vec![None; plan.values.len()];
    for (input, id) in ids.iter_mut().enumerate().take(plan.inputs) {
        *id = Some(ValueId(input));
    }
    let mut steps = Vec::with_capacity(plan.steps.len());
    for (step, &shift) in plan.steps.iter().zip(&shifts) {
        let input = step.inputs.first().copied();
        let operation = match &step.op {
            PlanOp::Linear { terms, bias } => Operation::Linear {
                terms: terms
                    .iter()
                    .map(|t| LinearTerm {
                        input: t.input,
                        weight: weights.filter(t.weight, weight_scale(plan, step, t.input, shift)),
                        map: t.map.clone(),
                    })
                    .collect(),
                bias: bias.as_ref().map(|bias| {
                    weights.bias(&step.name, bias, scale_of(&plan.values[step.output], choice.scale) + shift)
                }),
                shift,
            },
            PlanOp::Widen => Operation::Widen,
            PlanOp::Relu => activation(Activation::Relu, plan, input, step.output),
            PlanOp::ClippedRelu(limit) => {
                let scale = scale_of(&plan.values[step.output], choice.scale);
                let limit = (limit * exp2(scale)).round().max(1.0) as u64;
                activation(Activation::ClippedRelu { limit }, plan, input, step.output)
            }
            PlanOp::MaxPool(input, window) => {
                Operation::MaxPool { input: *input, window: window.clone(), compare_bits: 0 }
            }
            PlanOp::SumPool(input, window) => Operation::SumPool { input: *input, window: window.clone() },
            PlanOp::ScalePublic(factors) => {
                let up =
                    shift as i32 + input.map_or(0, |i| plan.values[step.output].extra - plan.values[i].extra);
                let unit = f64::from(up).exp2();
                let factors = factors.iter().map(|f| (f * unit).round() as i64 as u64).collect();
                Operation::ScalePublic { factors, shift }
            }
            PlanOp::Product(map) => Operation::Product { map: map.clone(), shift },
            PlanOp::Compare(thresholds) => {
                Operation::Compare { thresholds: thresholds.clone(), compare_bits: 0 }
            }
            PlanOp::Combine { factors, offsets } => {
                Operation::Combine { factors: factors.clone(), offsets: offsets.clone() }
            }
            PlanOp::Add => Operation::Add,
            PlanOp::Sub => Operation::Sub,
            PlanOp::Movement(movement) => Operation::Movement(movement.clone()),
        };
        let output = ValueId(values.len());
        values.push(step.output);
        ids[step.output] = Some(output);
        let inputs = step.inputs.iter().filter_map(|&i| ids[i]).collect();
        steps.push(Step { name: step.name.clone(), operation, inputs, output, last_uses: Vec::new() });
    }
    let value = |&id: &usize| {
        let (planned, (low, high)) = (&plan.values[id], bounds[id]);
        let (name, shape) = (planned.name.clone(), planned.shape.clone());
        let scale = scale_of(planned, choice.scale);
        Value { name, shape, scale, low, high, wide: planned.wide }
    };
    let outputs: Vec<Output> = plan
        .outputs
        .iter()
        .filter_map(|o| Some(Output { name: o.name.clone(), value: ids[o.value]?, transform: o.transform }))
        .collect();
    let inputs = (0..plan.inputs)
        .map(|i| Input {
            name: plan.values[i].name.clone(),
            value: ValueId(i),
            low: bounds[i].0 as f64 / exp2(choice.scale),
            high: bounds[i].1 as f64 / exp2(choice.scale),
            preprocessing: Preprocessing::default(),
        })
        .collect();
    let (declared, data) = weights.finish();
    let mut program = Program {
        version: VERSION,
        name: name.to_string(),
        ring_bits: choice.ring_bits,
        scale: choice.scale,
        inputs,
        outputs,
        values: values.iter().map(value).collect(),
        weights: declared,
        steps,
    };
    compare(&mut program);
    liveness::fill_last_uses(&mut program.steps, &program.outputs, program.values.len());
    Ok(Quantised { program, weights: data, values })
}

/// The smallest ring that the plan can do with, and the smallest one in which no weight loses precision.
pub(crate) fn ring_limits(plan: &Plan, choice: Choice) -> (u32, u32) {
    room::limits(plan, &value_bounds(plan, choice), choice)
}

/// Checks a finished program: what the planner missed must not pass for compiled.
pub(crate) fn check(program: &Program) -> Result<(), FixError> {
    validate(program).map_err(|e| FixError::Internal(e.to_string()))
}

fn activation(function: Activation, plan: &Plan, input: Option<usize>, output: usize) -> Operation {
    // In the large ring already: nothing to widen.
    let from_wide = input.is_some_and(|i| plan.values[i].wide);
    Operation::Activation { function, compare_bits: 0, widen: plan.values[output].wide && !from_wide }
}

/// Gives every comparison the bits that its operand's bounds need.
fn compare(program: &mut Program) {
    for step in &mut program.steps {
        let Some(input) = step.inputs.first().and_then(|id| program.values.get(id.0)) else {
            continue;
        };
        let needed = bounds::comparison(&step.operation, input);
        if let (
            Operation::Activation { compare_bits, .. }
            | Operation::MaxPool { compare_bits, .. }
            | Operation::Compare { compare_bits, .. },
            Some(bits),
        ) = (&mut step.operation, needed)
        {
            *compare_bits = bits;
        }
    }
}

/// Fractional bits of a value, where activations have `scale`.
pub(crate) fn scale_of(value: &PlanValue, scale: u32) -> u32 {
    scale.saturating_add_signed(value.extra)
}

/// Fractional bits of the weight that multiplies this operand of a linear step, for a shift.
fn weight_scale(plan: &Plan, step: &PlanStep, input: usize, shift: u32) -> u32 {
    let from = step.inputs.get(input).map_or(0, |&i| plan.values[i].extra);
    shift.saturating_add_signed(plan.values[step.output].extra - from)
}

/// The bounds of every value, in units: see [`own_bounds`] and [`result_bounds`].
fn value_bounds(plan: &Plan, choice: Choice) -> Vec<(i64, i64)> {
    let mut bounds: Vec<(i64, i64)> =
        plan.values.iter().map(|v| own_bounds(v, choice.scale, choice.margin)).collect();
    for step in &plan.steps {
        let inputs: Vec<(i64, i64)> = step.inputs.iter().map(|&i| bounds[i]).collect();
        let value = &plan.values[step.output];
        bounds[step.output] = result_bounds(&step.op, &inputs, value, choice.scale, choice.margin);
    }
    bounds
}

/// The bounds of a value by itself: the range, widened by the margin and by the rounding.
pub(crate) fn own_bounds(value: &PlanValue, scale: u32, margin: f64) -> (i64, i64) {
    if let Some(exact) = value.exact {
        return exact;
    }
    let range = value.range.with_zero();
    let wider = margin.exp2() * exp2(scale_of(value, scale));
    let units = |v: f64| (v.abs() * wider).ceil().min(9e18) as i64;
    // A side on which nothing was seen stays small: rounding alone leads there.
    let smallest = SMALLEST_BOUND << value.extra.clamp(0, 32);
    let low = units(range.low).saturating_add(ROUNDING).max(smallest);
    let high = units(range.high).saturating_add(ROUNDING).max(smallest);
    (-coarse(low), coarse(high))
}

/// The largest number with the same [`BOUND_BITS`] leading bits. It takes no more bits than the number itself; and bounds of two forms of
/// one model, whose floats differ in their last digits, are the same, nor do they show the parties more than that of the examples.
fn coarse(bound: i64) -> i64 {
    let bits = 64 - bound.leading_zeros();
    bound | ((1i64 << bits.saturating_sub(BOUND_BITS).min(62)) - 1)
}

/// The bounds of a step's result, for its operands'. Operations that only move or pick elements pass their operands' bounds on.
pub(crate) fn result_bounds(
    op: &PlanOp,
    inputs: &[(i64, i64)],
    value: &PlanValue,
    scale: u32,
    margin: f64,
) -> (i64, i64) {
    let low = inputs.iter().map(|b| b.0).min().unwrap_or(0);
    let high = inputs.iter().map(|b| b.1).max().unwrap_or(0);
    let own = own_bounds(value, scale, margin);
    match op {
        PlanOp::Movement(Movement::Pad { .. }) => (low.min(0), high.max(0)),
        PlanOp::Widen | PlanOp::Movement(_) | PlanOp::MaxPool(..) => (low, high),
        PlanOp::Relu => (0, high.max(0)),
        PlanOp::ClippedRelu(limit) => {
            let limit = (limit * exp2(scale_of(value, scale))).round().clamp(1.0, 9e18) as i64;
            (0, high.clamp(0, limit))
        }
        PlanOp::Compare(_) => (0, 1),
        // What is never negative needs no room below zero.
        PlanOp::SumPool(..) | PlanOp::Add if low >= 0 => (0, own.1),
        _ => own,
    }
}

/// `2^bits` in real numbers.
pub(crate) fn exp2(bits: u32) -> f64 {
    f64::from(bits).exp2()
}
