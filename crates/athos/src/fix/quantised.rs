//! The fourth stage: the fixed-point program and its weights. Everything is decided: here it is
//! written.

pub(crate) mod rounding;
pub(crate) mod trial;
mod weights;

use std::collections::BTreeMap;

use cryptflow_graph::ClassNames;
use cryptflow_operation::{
    Activation, Bounds, Compare, Form, Linear, LinearTerm, MaxPool, Operation, Product, Rectifier,
    ScalePublic,
};
use cryptflow_program::{
    self as program, Batch, Checked, Input, OLDEST, Output, Preprocessing, Program, Step, Value, ValueId,
    liveness, validate,
};

use super::chosen::Chosen;
use super::planned::lower::precision::GUARD;
use super::planned::plan::{self, PlanOutput, PlanStep, Reals};
use super::units::exp2;
use super::{Defect, FixError};
use weights::{Numbers, Weights};

/// A quantised plan. Value `i` of the program is value `values[i]` of the plan.
#[derive(Clone, Debug)]
pub(crate) struct Quantised {
    pub(crate) program: Checked,
    pub(crate) numbers: Numbers,
    pub(crate) values: Vec<usize>,
}

/// What a program says of the numbers that go in and come out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside {
    /// That of the inputs, in order; missing ones are left as they are.
    pub(crate) preprocessing: Vec<Preprocessing>,
    /// What the columns of the inputs were multiplied with, in order.
    pub(crate) factors: Vec<Vec<f64>>,
    /// What the first axis is.
    pub(crate) batch: Batch,
    /// What a round is worth.
    pub(crate) bits_per_round: Option<u64>,
    /// The fractional bits of outputs that mean something, in order.
    pub(crate) digits: Vec<Option<u32>>,
    /// What classes are called, by the name of the output.
    pub(crate) classes: BTreeMap<String, ClassNames>,
}

/// Makes the program.
///
/// # Errors
/// A program that breaks its own rules, by a defect: what the plan missed must not pass for
/// compiled.
pub(crate) fn quantise(chosen: &Chosen, name: &str, outside: &Outside) -> Result<Quantised, FixError> {
    let mut writer = Writer::new(chosen);
    let steps: Vec<Step> = (0..chosen.plan.steps.len()).map(|index| writer.step(index)).collect();
    let (inputs, outputs) = (writer.inputs(outside), writer.outputs(outside));
    let guard = chosen.plan.guard.and_then(|value| writer.ids[value]);
    let Writer { values, weights, .. } = writer;
    let (declared, numbers) = weights.finish();
    let mut program = Program {
        version: OLDEST,
        name: name.to_string(),
        ring_bits: chosen.ring_bits,
        scale: chosen.choice.scale,
        batch: outside.batch,
        bits_per_round: outside.bits_per_round,
        inputs,
        outputs,
        guard,
        values: values.iter().map(|&planned| value(chosen, planned)).collect(),
        weights: declared,
        steps,
    };
    program.version = program.due_version();
    set_compare_bits(&mut program);
    liveness::fill_last_uses(&mut program);
    let program = validate(program).map_err(Defect::from)?;
    Ok(Quantised { program, numbers, values })
}

/// A value as the program declares it.
fn value(chosen: &Chosen, planned: usize) -> Value {
    let (value, Bounds { low, high }) = (&chosen.plan.values[planned], chosen.bounds[planned]);
    Value {
        name: value.name.clone(),
        shape: value.shape.clone(),
        scale: value.scale(chosen.choice.scale),
        low,
        high,
        wide: value.wide,
        ring: (value.wide && chosen.rings[planned] < chosen.ring_bits).then_some(chosen.rings[planned]),
    }
}

/// Gives every comparison the bits that its operand's bounds need.
fn set_compare_bits(program: &mut Program) {
    for step in &mut program.steps {
        let operand = step.inputs.first().and_then(|id| program.values.get(id.0));
        if let Some(bits) = operand.and_then(|x| step.operation.rules().compared(x.bounds())) {
            step.operation.set_compare_bits(bits);
        }
    }
}

/// Writes steps, one after another.
struct Writer<'a> {
    chosen: &'a Chosen,
    weights: Weights,
    /// The plan's values, in the order in which the program has them.
    values: Vec<usize>,
    /// Where the program has each value of the plan.
    ids: Vec<Option<ValueId>>,
}

impl<'a> Writer<'a> {
    fn new(chosen: &'a Chosen) -> Writer<'a> {
        let plan = &chosen.plan;
        let id = |planned: usize| (planned < plan.inputs).then_some(ValueId(planned));
        Writer {
            chosen,
            weights: Weights::new(plan),
            values: (0..plan.inputs).collect(),
            ids: (0..plan.values.len()).map(id).collect(),
        }
    }

    fn step(&mut self, index: usize) -> Step {
        let chosen = self.chosen;
        let step = &chosen.plan.steps[index];
        let operation = self.operation(step, chosen.shifts[index], chosen.skipped[index]);
        let output = ValueId(self.values.len());
        self.values.push(step.output);
        self.ids[step.output] = Some(output);
        let inputs = step.inputs.iter().filter_map(|&i| self.ids[i]).collect();
        Step { name: step.name.clone(), operation, inputs, output, last_uses: Vec::new() }
    }

    /// The operation in integers. Comparisons get their bits when all bounds are written.
    fn operation(&mut self, step: &PlanStep, shift: u32, skipped: u32) -> Operation {
        match &step.op {
            plan::Operation::Linear(linear) => Operation::Linear(self.linear(step, linear, shift)),
            plan::Operation::Product(Product { map, .. }) => {
                Operation::Product(Product { map: map.clone(), shift })
            }
            plan::Operation::Compare(Compare { thresholds, .. }) => {
                Operation::Compare(Compare { thresholds: thresholds.clone(), compare_bits: 0, skipped })
            }
            plan::Operation::Combine(combine) => Operation::Combine(combine.clone()),
            plan::Operation::ScalePublic(ScalePublic { factors, .. }) => {
                let unit = f64::from(shift as i32 + self.rise(step, 0)).exp2();
                let factors = factors.iter().map(|f| (f * unit).round() as i64 as u64).collect();
                Operation::ScalePublic(ScalePublic { factors, shift })
            }
            plan::Operation::Widen => Operation::Widen,
            plan::Operation::Activation(Activation { function, .. }) => {
                Operation::Activation(self.activation(step, function, skipped))
            }
            plan::Operation::MaxPool(MaxPool { input, window, .. }) => Operation::MaxPool(MaxPool {
                input: *input,
                window: window.clone(),
                compare_bits: 0,
                skipped,
            }),
            plan::Operation::SumPool(pool) => Operation::SumPool(pool.clone()),
            plan::Operation::Add => Operation::Add,
            plan::Operation::Sub => Operation::Sub,
            plan::Operation::Movement(movement) => Operation::Movement(movement.clone()),
        }
    }

    fn linear(&mut self, step: &PlanStep, linear: &Linear<Reals>, shift: u32) -> Linear {
        let term = |t: &plan::LinearTerm| {
            let scale = shift.saturating_add_signed(self.rise(step, t.input));
            LinearTerm { input: t.input, weight: self.weights.filter(t.weight, scale), map: t.map.clone() }
        };
        let terms = linear.terms.iter().map(term).collect();
        let products = self.chosen.plan.values[step.output].scale(self.chosen.choice.scale) + shift;
        let bias = linear.bias.as_ref().map(|bias| self.weights.bias(&step.name, bias, products));
        Linear { terms, bias, shift }
    }

    fn activation(&self, step: &PlanStep, function: &Rectifier<Reals>, skipped: u32) -> Activation {
        let Chosen { plan, choice, .. } = self.chosen;
        let wide = |planned: usize| plan.values[planned].wide;
        let scale = plan.values[step.output].scale(choice.scale);
        let function = match function {
            Rectifier::Relu => Rectifier::Relu,
            Rectifier::ClippedRelu { limit } => {
                Rectifier::ClippedRelu { limit: Reals::limit_units(*limit, scale) }
            }
        };
        // In the large ring already: nothing to widen.
        let from_wide = step.inputs.first().is_some_and(|&input| wide(input));
        Activation { function, compare_bits: 0, skipped, widen: wide(step.output) && !from_wide }
    }

    /// By how many fractional bits a step's result exceeds one of its operands.
    fn rise(&self, step: &PlanStep, operand: usize) -> i32 {
        let extra = |planned: usize| self.chosen.plan.values[planned].extra;
        step.inputs.get(operand).map_or(0, |&input| extra(step.output) - extra(input))
    }

    fn inputs(&self, outside: &Outside) -> Vec<Input> {
        let Chosen { plan, choice, bounds, .. } = self.chosen;
        let input = |i: usize| {
            let real = |units: i64| units as f64 / exp2(plan.values[i].scale(choice.scale));
            let classes = plan.ids.get(&i).copied();
            // Of ids, what is given is bounded by how many there are.
            let (low, high) = match classes {
                Some(classes) => (0.0, classes.saturating_sub(1) as f64),
                None => (real(bounds[i].low), real(bounds[i].high)),
            };
            Input {
                name: plan.values[i].name.clone(),
                value: ValueId(i),
                low,
                high,
                preprocessing: outside.preprocessing.get(i).cloned().unwrap_or_default(),
                factors: outside.factors.get(i).cloned().unwrap_or_default(),
                classes,
            }
        };
        (0..plan.inputs).map(input).collect()
    }

    fn outputs(&self, outside: &Outside) -> Vec<Output> {
        let Chosen { plan, choice, .. } = self.chosen;
        let guarded = plan.guard.is_some();
        let output = |(index, o): (usize, &PlanOutput)| {
            let digits = outside.digits.get(index).copied().flatten();
            let scale = plan.values[o.value].scale(choice.scale);
            let digits = match o.spare {
                0 => digits,
                spare => Some(scale - spare - if guarded { GUARD } else { 0 }),
            };
            // An error of a truncation must not reach the next number with so many digits.
            let few = |scale: u32| digits.filter(|&digits| digits <= scale.saturating_sub(GUARD));
            let digits = match guarded {
                // That of the guard's product does not reach what was there before it.
                true => few(scale - GUARD).or(Some(scale - GUARD)),
                false => few(scale),
            };
            Some(Output {
                name: o.name.clone(),
                value: self.ids[o.value]?,
                transform: o.transform,
                digits,
                equal: o.equal << if guarded { GUARD } else { 0 },
                classes: outside.classes.get(&o.name).map(|names| match names {
                    ClassNames::Numbers(numbers) => program::ClassNames::Numbers(numbers.clone()),
                    ClassNames::Texts(texts) => program::ClassNames::Texts(texts.clone()),
                }),
            })
        };
        plan.outputs.iter().enumerate().filter_map(output).collect()
    }
}
