//! What a program will cost: a dry run over layouts, without a value, a weight or a link.

use std::borrow::Cow;

use cryptflow_mpc::{Cost, CostModel, Layout, Place};
use cryptflow_program::{Checked, Operation};

use crate::error::EngineError;
use crate::{beside, execute};

/// What a program costs in a protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Of each step, in order; rounds are those by which it moves the round clock, as a run would have it: where steps run beside each
    /// other, none of those in which an earlier one waits.
    pub steps: Vec<Cost>,
    /// Of all steps, exact in bytes and in rounds.
    pub total: Cost,
}

/// The cost of every step of a program, in one protocol's formulas. What keys, inputs and outputs
/// cost is not in it.
///
/// # Errors
/// A step that the protocol has no cost for.
pub fn estimate(program: &Checked, model: &dyn CostModel) -> Result<Estimate, EngineError> {
    steps(program, model, &|operation| Cow::Borrowed(operation))
}

/// What one more bit in the bounds of each step's operand would cost: bytes between the parties. It is
/// that of the step's comparisons, as long as the ring has room for the bit.
///
/// # Errors
/// See [`estimate`].
pub fn price_of_a_bit(program: &Checked, model: &dyn CostModel) -> Result<Vec<u64>, EngineError> {
    let wider = |operation: &Operation| {
        let mut operation = operation.clone();
        if let Some(bits) = operation.compare_bits() {
            operation.set_compare_bits((bits + 1).min(program.ring_bits));
        }
        Cow::Owned(operation)
    };
    let (now, then) = (estimate(program, model)?, steps(program, model, &|operation| wider(operation))?);
    let bytes = now.steps.iter().zip(&then.steps);
    Ok(bytes.map(|(now, then)| then.total().saturating_sub(now.total())).collect())
}

fn steps<'a>(
    program: &'a Checked,
    model: &dyn CostModel,
    priced: &dyn Fn(&'a Operation) -> Cow<'a, Operation>,
) -> Result<Estimate, EngineError> {
    let ring_bits = program.ring_bits;
    let none = Layout { len: 0, bits: ring_bits };
    let mut layouts = vec![none; program.values.len()];
    for input in &program.inputs {
        if let Some(slot) = layouts.get_mut(input.value.0) {
            *slot = model.input(program.elements(input.value), ring_bits);
        }
    }
    let mut steps = Vec::with_capacity(program.steps.len());
    for (index, step) in program.steps.iter().enumerate() {
        let inputs: Vec<Layout> =
            step.inputs.iter().map(|id| layouts.get(id.0).copied().unwrap_or(none)).collect();
        let ring_bits = program.ring_of(step.output);
        let place = Place { inputs: &inputs, len: program.elements(step.output), ring_bits };
        let (cost, layout) = model
            .cost(&priced(&step.operation), &place)
            .map_err(|source| execute::at(program, index, step, source))?;
        if let Some(slot) = layouts.get_mut(step.output.0) {
            *slot = layout;
        }
        steps.push(cost);
    }
    if model.beside() {
        let turns: Vec<u64> = steps.iter().map(|step| step.rounds).collect();
        for (step, rounds) in steps.iter_mut().zip(beside::rounds(program, &turns)) {
            step.rounds = rounds;
        }
    }
    let total = steps.iter().sum();
    Ok(Estimate { steps, total })
}
