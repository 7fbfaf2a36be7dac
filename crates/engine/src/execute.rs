//! Running a program: one party's side of it.

use std::time::Instant;

use cryptflow_mpc::{Error, Operand, Operands, Protocol};
use cryptflow_program::{Checked, Program, Step, ValueId};

use crate::error::EngineError;
use crate::timeline::{Observer, StepRecord};

/// Runs a program with this party's part of the weights (in the order of their ids) and of the
/// inputs (in the order in which the program lists them). Returns its part of what is opened, in the
/// program's order ([`Program::opened`]). All parties must call this on the same program; a value is dropped after its
/// last use.
///
/// # Errors
/// The first step that fails. The protocol's session is over then: its links are broken, or must
/// be.
pub fn execute<P: Protocol>(
    protocol: &mut P,
    program: &Checked,
    weights: &[P::Weight],
    inputs: Vec<P::Value>,
    observer: &mut dyn Observer<P::Value>,
) -> Result<Vec<P::Value>, EngineError> {
    count("weights", program.weights.len(), weights.len())?;
    count("inputs", program.inputs.len(), inputs.len())?;
    let mut values: Vec<Option<P::Value>> = program.values.iter().map(|_| None).collect();
    for (input, value) in program.inputs.iter().zip(inputs) {
        let slot = values.get_mut(input.value.0);
        *slot.ok_or_else(|| EngineError::Output { name: input.name.clone() })? = Some(value);
    }

    let party = protocol.party();
    for (index, step) in program.steps.iter().enumerate() {
        observer.started(index, step);
        let (begun, before) = (Instant::now(), protocol.metered());
        let result = operands(program, step, &values, weights)
            .and_then(|operands| protocol.apply(&step.operation, &operands))
            .map_err(|source| at(program, index, step, source))?;
        observer.computed(step, &result);
        if let Some(slot) = values.get_mut(step.output.0) {
            *slot = Some(result);
        }
        for id in &step.last_uses {
            if let Some(slot) = values.get_mut(id.0) {
                *slot = None;
            }
        }
        let taken = protocol.metered().since(&before);
        let record = StepRecord {
            seconds: begun.elapsed().as_secs_f64(),
            rounds: taken.rounds,
            sent: taken.bytes.sent(party).to_vec(),
        };
        observer.finished(index, step, &record);
    }

    let taken = program.opened().enumerate().map(|(index, id)| {
        let name = || program.outputs.get(index).map_or("guard", |output| &output.name).to_string();
        // Two outputs may be the same value.
        values.get(id.0).cloned().flatten().ok_or_else(|| EngineError::Output { name: name() })
    });
    taken.collect()
}

fn count(what: &'static str, needed: usize, given: usize) -> Result<(), EngineError> {
    if needed == given { Ok(()) } else { Err(EngineError::Operands { what, needed, given }) }
}

/// What goes wrong in a step, with its place.
pub(crate) fn at(program: &Program, index: usize, step: &Step, source: Error) -> EngineError {
    EngineError::Step {
        number: index + 1,
        steps: program.steps.len(),
        operation: step.operation.name(),
        name: step.name.clone(),
        source,
    }
}

/// The step's operands among the values that there are.
fn operands<'a, P: Protocol>(
    program: &'a Program,
    step: &Step,
    values: &'a [Option<P::Value>],
    weights: &'a [P::Weight],
) -> Result<Operands<'a, P>, Error> {
    let given = step.inputs.len();
    let operand = |(index, id): (usize, &ValueId)| {
        let value = values.get(id.0).and_then(Option::as_ref);
        let shape = program.values.get(id.0).map(|value| value.shape.as_slice());
        value.zip(shape).map(|(value, shape)| Operand { shape, value }).ok_or(Error::Operand { index, given })
    };
    let inputs = step.inputs.iter().enumerate().map(operand).collect::<Result<_, _>>()?;
    Ok(Operands { inputs, weights, ring_bits: program.ring_of(step.output) })
}
