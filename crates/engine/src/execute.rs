//! Running a program: one party's side of it.

use std::time::Instant;

use cryptflow_mpc::{Error, Protocol, Term};
use cryptflow_program::{Activation, Operation, Program, Step, ValueId};

use crate::error::EngineError;
use crate::timeline::{Observer, StepRecord};

/// Runs a program with this party's part of the weights (in the order of their ids) and of the inputs (in the order in
/// which the program lists them). Returns its part of the outputs, in the program's order. All parties must call this on the
/// same program; a value is dropped after its last use.
///
/// # Errors
/// The first step that fails. The protocol's session is over then: its links are broken, or must be.
pub fn execute<P: Protocol>(
    protocol: &mut P,
    program: &Program,
    weights: &[P::Weight],
    inputs: Vec<P::Value>,
    observer: &mut dyn Observer,
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
        let result = Operands { program, index, step, values: &values, weights }.compute(protocol)?;
        let Some(slot) = values.get_mut(step.output.0) else {
            return Err(malformed(program, index, step, format!("there is no value {}", step.output.0)));
        };
        *slot = Some(result);
        for id in &step.last_uses {
            if let Some(slot) = values.get_mut(id.0) {
                *slot = None;
            }
        }
        let mut after = protocol.metered();
        after.bytes -= &before.bytes;
        let record = StepRecord {
            seconds: begun.elapsed().as_secs_f64(),
            rounds: after.rounds.saturating_sub(before.rounds),
            sent: after.bytes.sent(party).to_vec(),
        };
        observer.finished(index, step, &record);
    }

    let taken = program.outputs.iter().map(|output| {
        // Two outputs may be the same value.
        values
            .get(output.value.0)
            .cloned()
            .flatten()
            .ok_or_else(|| EngineError::Output { name: output.name.clone() })
    });
    taken.collect()
}

fn count(what: &'static str, needed: usize, given: usize) -> Result<(), EngineError> {
    if needed == given { Ok(()) } else { Err(EngineError::Operands { what, needed, given }) }
}

pub(crate) fn malformed(program: &Program, index: usize, step: &Step, reason: String) -> EngineError {
    EngineError::Malformed {
        number: index + 1,
        steps: program.steps.len(),
        operation: step.operation.name(),
        name: step.name.clone(),
        reason,
    }
}

/// A step and what it works on.
struct Operands<'a, P: Protocol> {
    program: &'a Program,
    index: usize,
    step: &'a Step,
    values: &'a [Option<P::Value>],
    weights: &'a [P::Weight],
}

impl<P: Protocol> Operands<'_, P> {
    fn malformed(&self, reason: String) -> EngineError {
        malformed(self.program, self.index, self.step, reason)
    }

    fn failed(&self, source: Error) -> EngineError {
        EngineError::Step {
            number: self.index + 1,
            steps: self.program.steps.len(),
            operation: self.step.operation.name(),
            name: self.step.name.clone(),
            source,
        }
    }

    fn id(&self, input: usize) -> Result<ValueId, EngineError> {
        let id = self.step.inputs.get(input).copied();
        id.ok_or_else(|| self.malformed(format!("it has no input {input}")))
    }

    fn value(&self, input: usize) -> Result<&P::Value, EngineError> {
        let id = self.id(input)?;
        let value = self.values.get(id.0).and_then(Option::as_ref);
        value.ok_or_else(|| {
            self.malformed(format!("value {} was not computed yet, or was dropped already", id.0))
        })
    }

    fn shape(&self, input: usize) -> Result<&[usize], EngineError> {
        let id = self.id(input)?;
        let value = self.program.values.get(id.0);
        Ok(&value.ok_or_else(|| self.malformed(format!("there is no value {}", id.0)))?.shape)
    }

    fn weight(&self, id: usize) -> Result<&P::Weight, EngineError> {
        self.weights.get(id).ok_or_else(|| self.malformed(format!("there is no weight {id}")))
    }

    fn compute(&self, protocol: &mut P) -> Result<P::Value, EngineError> {
        let result = match &self.step.operation {
            Operation::Linear { terms, bias, shift } => {
                let terms = terms
                    .iter()
                    .map(|term| {
                        let (x, w) = (self.value(term.input)?, self.weight(term.weight.0)?);
                        Ok(Term { map: &term.map, x, w })
                    })
                    .collect::<Result<Vec<Term<'_, P>>, EngineError>>()?;
                let bias = bias.map(|id| self.weight(id.0)).transpose()?;
                protocol.linear(&terms, bias, *shift)
            }
            Operation::Product { map, shift } => {
                protocol.product(map, self.value(0)?, self.value(1)?, *shift)
            }
            Operation::Compare { thresholds, compare_bits } => {
                protocol.compare(self.value(0)?, thresholds, *compare_bits)
            }
            Operation::Combine { factors, offsets } => protocol.combine(self.value(0)?, factors, offsets),
            Operation::Widen => protocol.widen(self.value(0)?),
            Operation::Activation { function: Activation::Relu, compare_bits, widen } => {
                protocol.relu(self.value(0)?, *compare_bits, *widen)
            }
            Operation::Activation { function: Activation::ClippedRelu { limit }, compare_bits, widen } => {
                protocol.clipped_relu(self.value(0)?, *limit, *compare_bits, *widen)
            }
            Operation::MaxPool { input, window, compare_bits } => {
                protocol.max_pool(self.value(0)?, *input, window, *compare_bits)
            }
            Operation::SumPool { input, window } => protocol.sum_pool(self.value(0)?, *input, window),
            Operation::ScalePublic { factors, shift } => {
                protocol.scale_public(self.value(0)?, factors, *shift)
            }
            Operation::Add => protocol.add(self.value(0)?, self.value(1)?),
            Operation::Sub => protocol.sub(self.value(0)?, self.value(1)?),
            Operation::Movement(movement) => {
                let inputs = (0..self.step.inputs.len())
                    .map(|i| Ok((self.shape(i)?, self.value(i)?)))
                    .collect::<Result<Vec<_>, EngineError>>()?;
                protocol.movement(movement, &inputs)
            }
        };
        result.map_err(|source| self.failed(source))
    }
}
