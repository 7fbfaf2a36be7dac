//! Running a program: one party's side of it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use cryptflow_mpc::turn::take_turn;
use cryptflow_mpc::{Cost, Error, Operand, Operands, Protocol};
use cryptflow_program::{Checked, Program, Step, ValueId};

use crate::beside::Schedule;
use crate::error::EngineError;
use crate::inputs::input_bounds;
use crate::timeline::{Observer, StepRecord};

/// Runs a program with this party's part of the weights (in the order of their ids) and of the
/// inputs (in the order in which the program lists them). Returns its part of what is opened, in the
/// program's order ([`Program::opened`]). All parties must call this on the same program; a value is dropped after its
/// last use. Where the protocol lets steps run beside each other ([`Protocol::beside`]), those do that do not depend on each
/// other.
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
    let mut run = Run::begin(protocol, program, weights, inputs, observer)?;
    run.steps(None)?;
    run.opened()
}

/// As [`execute`], of inputs that are held to the bounds that the program declares: beside the first steps, where the protocol has
/// steps beside each other. There is no result unless they are. Returns what the check took, too; its rounds are those by
/// which the run is longer.
///
/// # Errors
/// As [`execute`]; [`EngineError::Inputs`] with [`Error::Outside`] where an element is outside of its bounds.
pub fn execute_checked<P: Protocol>(
    protocol: &mut P,
    program: &Checked,
    weights: &[P::Weight],
    inputs: Vec<P::Value>,
    observer: &mut dyn Observer<P::Value>,
) -> Result<(Vec<P::Value>, StepRecord), EngineError> {
    let mut run = Run::begin(protocol, program, weights, inputs, observer)?;
    let bounds = input_bounds(program).into_iter().map(|(_, bounds)| bounds);
    let checked: Vec<_> =
        program.inputs.iter().filter_map(|input| run.value(input.value)).zip(bounds).collect();
    let mut record = StepRecord::default();
    match run.protocol.beside() {
        Some(mut handle) => {
            let check = async move {
                let inputs: Vec<_> = checked.iter().map(|(value, bounds)| (&**value, *bounds)).collect();
                handle.find_within(&inputs).await
            };
            run.steps(Some(Check { running: Box::pin(check), record: &mut record }))?;
        }
        None => {
            let (begun, before) = (Instant::now(), run.protocol.metered());
            let inputs: Vec<_> = checked.iter().map(|(value, bounds)| (&**value, *bounds)).collect();
            run.protocol.require_within(&inputs).map_err(EngineError::Inputs)?;
            drop(checked);
            run.took(&mut record, begun, &before);
            run.steps(None)?;
        }
    }
    Ok((run.opened()?, record))
}

/// A step, or the check of inputs, that has given way.
type Waiting<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>>;

/// A step that runs beside others.
struct Running<'a, V> {
    index: usize,
    step: &'a Step,
    running: Waiting<'a, V>,
    record: StepRecord,
}

/// The check of inputs, and what it has taken.
struct Check<'a, 'r> {
    running: Waiting<'a, ()>,
    record: &'r mut StepRecord,
}

/// A run at one party.
struct Run<'a, 'p, P: Protocol> {
    protocol: &'p mut P,
    program: &'a Checked,
    weights: &'a [P::Weight],
    values: Vec<Option<Rc<P::Value>>>,
    observer: &'p mut dyn Observer<P::Value>,
}

impl<'a, 'p, P: Protocol> Run<'a, 'p, P> {
    fn begin(
        protocol: &'p mut P,
        program: &'a Checked,
        weights: &'a [P::Weight],
        inputs: Vec<P::Value>,
        observer: &'p mut dyn Observer<P::Value>,
    ) -> Result<Run<'a, 'p, P>, EngineError> {
        count("weights", program.weights.len(), weights.len())?;
        count("inputs", program.inputs.len(), inputs.len())?;
        let mut values: Vec<Option<Rc<P::Value>>> = program.values.iter().map(|_| None).collect();
        for (input, value) in program.inputs.iter().zip(inputs) {
            let slot = values.get_mut(input.value.0);
            *slot.ok_or_else(|| EngineError::Output { name: input.name.clone() })? = Some(Rc::new(value));
        }
        Ok(Run { protocol, program, weights, values, observer })
    }

    fn value(&self, id: ValueId) -> Option<Rc<P::Value>> {
        self.values.get(id.0).cloned().flatten()
    }

    fn steps(&mut self, check: Option<Check<'a, '_>>) -> Result<(), EngineError>
    where
        P: 'a,
    {
        match self.protocol.beside() {
            Some(_) => self.side_by_side(check),
            None => self.one_by_one(),
        }
    }

    fn one_by_one(&mut self) -> Result<(), EngineError> {
        for (index, step) in self.program.steps.iter().enumerate() {
            self.observer.started(index, step);
            let (begun, before) = (Instant::now(), self.protocol.metered());
            let result = self.operands(step).and_then(|held| {
                self.protocol.apply(&step.operation, &operands(self.program, step, &held, self.weights))
            });
            let result = result.map_err(|source| at(self.program, index, step, source))?;
            self.observer.computed(step, &result);
            self.keep(step.output, result);
            self.free(&step.last_uses);
            let mut record = StepRecord::default();
            self.took(&mut record, begun, &before);
            self.observer.finished(index, step, &record);
        }
        Ok(())
    }

    /// In each round all steps that run take a turn, in the order in which they began; then those begin that can; and then it is the
    /// check's turn. So each waits for its messages in the order in which they were sent.
    fn side_by_side(&mut self, mut check: Option<Check<'a, '_>>) -> Result<(), EngineError>
    where
        P: 'a,
    {
        let program = self.program;
        let mut schedule = Schedule::new(program);
        let mut running: Vec<Running<'a, P::Value>> = Vec::new();
        loop {
            for mut step in std::mem::take(&mut running) {
                self.observer.resumed(step.index);
                match self.turn(&mut step)? {
                    Some(result) => self.ended(&mut schedule, step, result),
                    None => running.push(step),
                }
            }
            while let Some(index) = schedule.begin() {
                let Some(step) = program.steps.get(index) else { break };
                self.observer.started(index, step);
                let mut begun = self.begun(index, step)?;
                match self.turn(&mut begun)? {
                    Some(result) => self.ended(&mut schedule, begun, result),
                    None => running.push(begun),
                }
            }
            if let Some(Check { running, record }) = &mut check {
                let (begun, before) = (Instant::now(), self.protocol.metered());
                let turn = take_turn(running.as_mut());
                self.took(record, begun, &before);
                if let Poll::Ready(found) = turn {
                    found.map_err(EngineError::Inputs)?;
                    check = None;
                }
            }
            if running.is_empty() && check.is_none() {
                return Ok(());
            }
        }
    }

    /// A step that can run beside others.
    fn begun(&mut self, index: usize, step: &'a Step) -> Result<Running<'a, P::Value>, EngineError>
    where
        P: 'a,
    {
        let (program, weights) = (self.program, self.weights);
        let held = self.operands(step).map_err(|source| at(program, index, step, source))?;
        let lost = Error::Range { operation: "a step beside others", reason: "the protocol has none".into() };
        let mut handle = self.protocol.beside().ok_or_else(|| at(program, index, step, lost))?;
        let running = Box::pin(async move {
            let operands = operands(program, step, &held, weights);
            handle.step(&step.operation, &operands).await
        });
        Ok(Running { index, step, running, record: StepRecord::default() })
    }

    /// A step's turn: its result, if that was the last one.
    fn turn(&mut self, step: &mut Running<'a, P::Value>) -> Result<Option<P::Value>, EngineError> {
        let (begun, before) = (Instant::now(), self.protocol.metered());
        let turn = take_turn(step.running.as_mut());
        self.took(&mut step.record, begun, &before);
        match turn {
            Poll::Ready(Ok(result)) => Ok(Some(result)),
            Poll::Ready(Err(source)) => Err(at(self.program, step.index, step.step, source)),
            Poll::Pending => {
                self.observer.paused(step.index);
                Ok(None)
            }
        }
    }

    fn ended(&mut self, schedule: &mut Schedule<'_>, step: Running<'a, P::Value>, result: P::Value) {
        let Running { index, step, running, record } = step;
        // With it go the operands.
        drop(running);
        self.observer.computed(step, &result);
        self.keep(step.output, result);
        self.free(&schedule.end(index));
        self.observer.finished(index, step, &record);
    }

    fn keep(&mut self, id: ValueId, value: P::Value) {
        if let Some(slot) = self.values.get_mut(id.0) {
            *slot = Some(Rc::new(value));
        }
    }

    fn free(&mut self, ids: &[ValueId]) {
        for id in ids {
            if let Some(slot) = self.values.get_mut(id.0) {
                *slot = None;
            }
        }
    }

    /// Adds what was taken since then.
    fn took(&self, record: &mut StepRecord, begun: Instant, before: &Cost) {
        let taken = self.protocol.metered().since(before);
        let sent = taken.bytes.sent(self.protocol.party()).to_vec();
        record.add(&StepRecord { seconds: begun.elapsed().as_secs_f64(), rounds: taken.rounds, sent });
    }

    /// The step's operands among the values that there are.
    fn operands(&self, step: &Step) -> Result<Vec<Rc<P::Value>>, Error> {
        let given = step.inputs.len();
        let operand = |(index, id): (usize, &ValueId)| self.value(*id).ok_or(Error::Operand { index, given });
        step.inputs.iter().enumerate().map(operand).collect()
    }

    fn opened(mut self) -> Result<Vec<P::Value>, EngineError> {
        let ids: Vec<ValueId> = self.program.opened().collect();
        let mut taken = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate() {
            let name = || self.program.outputs.get(index).map_or("guard", |output| &output.name).to_string();
            // Two outputs may be the same value.
            let again = ids.get(index + 1..).is_some_and(|rest| rest.contains(id));
            let value =
                if again { self.value(*id) } else { self.values.get_mut(id.0).and_then(Option::take) };
            let value = value.ok_or_else(|| EngineError::Output { name: name() })?;
            taken.push(Rc::unwrap_or_clone(value));
        }
        Ok(taken)
    }
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

/// What the step works on.
fn operands<'v, P: Protocol>(
    program: &'v Program,
    step: &Step,
    held: &'v [Rc<P::Value>],
    weights: &'v [P::Weight],
) -> Operands<'v, P> {
    let shape = |id: &ValueId| program.values.get(id.0).map_or(&[][..], |value| value.shape.as_slice());
    let inputs = step.inputs.iter().zip(held);
    let inputs = inputs.map(|(id, value)| Operand { shape: shape(id), value: &**value }).collect();
    Operands { inputs, weights, ring_bits: program.ring_of(step.output) }
}
