//! Several runs of a program at once.
//!
//! Runs have nothing to do with one another, so that any number of them is a program, too: every step
//! does for all of them what it does for one. What each of them rounds, compares and sends is its own, and all that it
//! has in common with the others is the rounds, and the weights.
//!
//! Mostly a step of all runs is that of one with a longer first axis. Where an operation treats the first axis
//! in another way than the others (thresholds, combinations, a transposition), the runs lie elsewhere
//! ([`form::Form`]); where they lie as the next step cannot have them, movements come between, which cost
//! nothing.

mod form;
mod moved;
mod steps;

use std::collections::HashMap;

use cryptflow_operation::Operation;

use crate::checked::Checked;
use crate::liveness::fill_last_uses;
use crate::program::{Program, Step, Value, ValueId};
use crate::validate::{Invalid, validate_runs};
use form::Form;

/// Several runs of a program, as one program: every input has the runs one after another, and so has all
/// that is opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeated {
    program: Checked,
    /// For each step the one that it belongs to in the program of one run.
    origins: Vec<usize>,
    runs: usize,
}

/// Why a program is not run several times at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRepeatable {
    /// No runs.
    #[error("no run at all is not a number of runs")]
    None,
    /// An operation that has no form for several runs, by the name of its step.
    #[error("{0}: a convolution with a secret that each run has another of has no form for several runs")]
    Convolution(String),
    /// A step, or all of it, that is no program with so many runs.
    #[error("{runs} runs at once are no program: {reason}")]
    Invalid {
        /// How many were asked for.
        runs: usize,
        /// What does not hold.
        reason: Invalid,
    },
    /// A program that was not checked.
    #[error("{0}: its operands are not what it takes")]
    Operands(String),
}

impl Repeated {
    /// What parties run.
    pub fn program(&self) -> &Checked {
        &self.program
    }

    /// How many runs it is.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// The step of one run that this step belongs to.
    pub fn origin(&self, step: usize) -> usize {
        self.origins.get(step).copied().unwrap_or(step)
    }
}

/// So many runs of a program at once.
///
/// # Errors
/// There is no run, an operation has no form for several, or they are too many to be counted.
pub fn repeat(program: &Checked, runs: usize) -> Result<Repeated, NotRepeatable> {
    match runs {
        0 => return Err(NotRepeatable::None),
        1 => {
            let origins = (0..program.steps.len()).collect();
            return Ok(Repeated { program: program.clone(), origins, runs });
        }
        _ => {}
    }
    let mut repeating = Repeating::begin(program, runs);
    for (index, step) in program.steps.iter().enumerate() {
        repeating.now = index;
        let Sketch { operation, inputs, form } = repeating.step(step)?;
        let missing = || NotRepeatable::Operands(step.name.clone());
        let value = program.values.get(step.output.0).ok_or_else(missing)?;
        let shape = form.map_or_else(|| value.shape.clone(), |form| form.shape(&value.shape, runs));
        let made = repeating.push(operation, inputs, Value { shape, ..value.clone() });
        repeating.know(step.output, made, form);
    }
    let (repeated, origins) = repeating.end()?;
    let program = validate_runs(repeated, runs).map_err(|reason| NotRepeatable::Invalid { runs, reason })?;
    Ok(Repeated { program, origins, runs })
}

/// What becomes of a step.
struct Sketch {
    operation: Operation,
    inputs: Vec<ValueId>,
    /// How the runs lie in its result; none where all runs have it in common.
    form: Option<Form>,
}

/// The work in progress.
struct Repeating<'a> {
    one: &'a Program,
    runs: usize,
    program: Program,
    /// For each value of one run what all runs have, and how; none of a form where it is the same for all.
    known: Vec<Option<(ValueId, Option<Form>)>>,
    /// Values that were made in other forms.
    made: HashMap<(ValueId, Form), ValueId>,
    origins: Vec<usize>,
    /// The step of one run that is being looked at.
    now: usize,
}

impl<'a> Repeating<'a> {
    fn begin(one: &'a Program, runs: usize) -> Repeating<'a> {
        let nothing = Program { values: Vec::new(), steps: Vec::new(), ..one.clone() };
        let known = vec![None; one.values.len()];
        let mut this = Repeating {
            one,
            runs,
            program: nothing,
            known,
            made: HashMap::new(),
            origins: Vec::new(),
            now: 0,
        };
        for input in &one.inputs {
            if let Some(value) = one.values.get(input.value.0) {
                let form = Form::runs_first(&value.shape);
                let id = ValueId(this.program.values.len());
                let shape = form.shape(&value.shape, runs);
                this.program.values.push(Value { shape, ..value.clone() });
                this.know(input.value, id, Some(form));
            }
        }
        this
    }

    /// What is opened is there one run after another.
    fn end(mut self) -> Result<(Program, Vec<usize>), NotRepeatable> {
        let opened: Vec<ValueId> = self.one.opened().collect();
        let mut ids = Vec::with_capacity(opened.len());
        for id in opened {
            let form = Form::runs_first(self.shape(id));
            ids.push(self.as_form(id, form)?);
        }
        let mut ids = ids.into_iter();
        for (output, id) in self.program.outputs.iter_mut().zip(&mut ids) {
            output.value = id;
        }
        self.program.guard = ids.next();
        fill_last_uses(&mut self.program);
        Ok((self.program, self.origins))
    }

    fn step(&mut self, step: &Step) -> Result<Sketch, NotRepeatable> {
        if step.inputs.iter().all(|&id| self.spread(id).is_none()) {
            let known = step.inputs.iter().map(|&id| self.known(id));
            let inputs = known.collect::<Result<_, _>>()?;
            return Ok(Sketch { operation: step.operation.clone(), inputs, form: None });
        }
        match &step.operation {
            Operation::Linear(linear) => self.linear(step, linear),
            Operation::Product(product) => self.product(step, product),
            Operation::Compare(compare) => self.compare(step, compare),
            Operation::Combine(combine) => self.combine(step, combine),
            Operation::ScalePublic(public) => self.scale_public(step, public),
            Operation::Widen | Operation::Activation(_) | Operation::Add | Operation::Sub => {
                self.element_by_element(step)
            }
            Operation::MaxPool(pool) => self.max_pool(step, pool),
            Operation::SumPool(pool) => self.sum_pool(step, pool),
            Operation::Movement(movement) => self.moved(step, movement),
        }
    }

    /// Shape of a value of one run.
    fn shape(&self, id: ValueId) -> &'a [usize] {
        self.one.values.get(id.0).map(|value| value.shape.as_slice()).unwrap_or_default()
    }

    fn know(&mut self, id: ValueId, made: ValueId, form: Option<Form>) {
        if let Some(slot) = self.known.get_mut(id.0) {
            *slot = Some((made, form));
        }
    }

    /// What all runs have in place of a value of one.
    fn known(&self, id: ValueId) -> Result<ValueId, NotRepeatable> {
        let missing = || NotRepeatable::Operands(format!("value {}", id.0));
        self.known.get(id.0).copied().flatten().map(|(made, _)| made).ok_or_else(missing)
    }

    /// How the runs lie in it; none where all have it in common.
    fn spread(&self, id: ValueId) -> Option<Form> {
        self.known.get(id.0).copied().flatten().and_then(|(_, form)| form)
    }

    /// How they lie in it, or would.
    fn form(&self, id: ValueId) -> Form {
        self.spread(id).unwrap_or_else(|| Form::runs_first(self.shape(id)))
    }

    /// The operands of a step that takes so many.
    fn operands<const N: usize>(&self, step: &Step) -> Result<[ValueId; N], NotRepeatable> {
        let operands: Option<&[ValueId; N]> = step.inputs.as_slice().try_into().ok();
        operands.copied().ok_or_else(|| NotRepeatable::Operands(step.name.clone()))
    }

    /// A step with this result.
    fn push(&mut self, operation: Operation, inputs: Vec<ValueId>, result: Value) -> ValueId {
        let output = ValueId(self.program.values.len());
        let name = self.one.steps.get(self.now).map(|step| step.name.clone()).unwrap_or_default();
        self.program.values.push(result);
        self.program.steps.push(Step { name, operation, inputs, output, last_uses: Vec::new() });
        self.origins.push(self.now);
        output
    }
}
