//! Rows of inputs, and the runs of a program that they take.

use std::ops::Range;

use cryptflow_athos::fix::FixedRunner;
use cryptflow_program::{Checked, Input, Program, Step, Value, ValueId};

use crate::batches::{Batches, Reader};
use crate::clear_runner::ClearRunner;
use crate::client::{Client, outputs_of};
use crate::compare::FloatModel;
use crate::error::{Error, Result};
use crate::first_beyond::first_beyond;
use crate::fixed;
use crate::input::{InputError, InputSpec, Row};
use crate::remote::{Renewal, renew_where_due};
use crate::report::{Report, held_back};
use crate::results::{Results, ResultsError};

/// What a program is run on.
pub struct Job<'a> {
    program: &'a Checked,
    batches: Batches,
    /// The rows of each input: as many of each.
    columns: Vec<Vec<Row>>,
    /// Where the results of each output will go.
    empty: Vec<Results>,
}

/// What runs gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// Of every output, before what the client applies to it.
    pub results: Vec<Results>,
    /// The rows whose outputs the program's guard holds back, as a value left its bounds: `results`
    /// has none for them.
    pub left: Vec<usize>,
}

/// Why there is no job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The inputs cannot be read, or do not go with the program.
    #[error(transparent)]
    Input(#[from] InputError),
    /// What comes out could not be told apart by rows.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The program is malformed.
    #[error(transparent)]
    Program(#[from] Error),
}

/// How the rows of a program's inputs fall into runs.
///
/// # Errors
/// The program declares no value for an input, or has no inputs.
pub fn batches(program: &Program) -> Result<Batches> {
    let inputs = specs(program)?;
    Ok(Batches::new(program.batch, inputs.iter().map(|input| input.shape.as_slice())))
}

impl<'a> Job<'a> {
    /// Reads the rows of all inputs.
    ///
    /// # Errors
    /// See [`JobError`].
    pub fn read(program: &'a Checked, read: Reader<'_>) -> std::result::Result<Job<'a>, JobError> {
        let batches = batches(program)?;
        let columns = batches.read_by(specs(program)?, read)?;
        let rows = columns.first().map_or(0, Vec::len);
        let empty = outputs(program)?
            .iter()
            .map(|(name, value)| Results::expect(name, &value.shape, &batches, rows))
            .collect::<std::result::Result<_, _>>()?;
        Ok(Job { program, batches, columns, empty })
    }

    /// How the rows fall into runs.
    pub fn batches(&self) -> &Batches {
        &self.batches
    }

    /// The rows of each input.
    pub fn columns(&self) -> &[Vec<Row>] {
        &self.columns
    }

    /// How many rows each input has.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// How many runs it takes.
    pub fn runs(&self) -> usize {
        self.batches.runs(self.rows())
    }

    /// How many steps these have in all.
    pub fn steps(&self) -> usize {
        self.runs() * self.program.steps.len()
    }

    /// All runs, in a session whose parties hold the weights: as many at once as the client may have, and the parties
    /// have the inputs of the next ones before they have answered. Where they attest, `renewal` has them prove themselves
    /// again when that is due, in between. `progress` is told the step that begins, and how many
    /// were done before it. Adds to the report what it took.
    ///
    /// # Errors
    /// A party is gone or fails, or its evidence is refused.
    pub fn run(
        &self,
        client: &Client<'_>,
        progress: &mut dyn FnMut(usize, &Step),
        report: &mut Report,
        renewal: &mut Option<Renewal>,
    ) -> Result<Given> {
        let mut given = self.nothing();
        let hand_in = |runs: &Range<usize>| {
            let inputs = runs.clone().map(|run| fixed::inputs(self.program, &self.batch(run)));
            Ok::<_, Error>(client.hand_in_at_once(&inputs.collect::<Result<Vec<_>>>()?)?)
        };
        let mut ahead = None;
        let mut groups = groups(self.runs(), client.at_once()).peekable();
        while let Some(runs) = groups.next() {
            let batch = match ahead.take() {
                Some(batch) => batch,
                None => {
                    renew_where_due(renewal, client)?;
                    hand_in(&runs)?
                }
            };
            let underway = client.begin_batch(batch)?;
            let due = renewal.as_ref().is_some_and(Renewal::is_due);
            if let Some(next) = groups.peek().filter(|_| !due) {
                ahead = Some(hand_in(next)?);
            }
            let done = runs.start * self.program.steps.len();
            let answer = client.answer(underway, &mut |step| {
                if let Some(begun) = self.program.steps.get(step) {
                    progress(done + step * runs.len(), begun);
                }
            })?;
            report.add(&answer);
            for (run, outputs) in runs.zip(&answer.outputs) {
                self.add(&mut given, run, outputs.as_deref())?;
            }
        }
        Ok(given)
    }

    /// One run after another on plain integers, without any party. Rounding is as random as that of
    /// shares, but the same every time.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn simulate(&self, weights: &[Vec<i64>], progress: &mut dyn FnMut(usize, &Step)) -> Result<Given> {
        let loaded = ClearRunner.load(self.program, &mut weights.iter().cloned()).map_err(Error::new)?;
        let mut given = self.nothing();
        let mut done = 0;
        for run in 0..self.runs() {
            let inputs = fixed::inputs(self.program, &self.batch(run))?;
            let mut observe = |_, _: &[i64]| {
                done += 1;
                if let Some(next) = self.program.steps.get(done % self.program.steps.len().max(1)) {
                    progress(done, next);
                }
            };
            let opened = loaded.run(&inputs, &mut observe).map_err(Error::new)?;
            self.add(&mut given, run, outputs_of(self.program, opened).as_deref())?;
        }
        Ok(given)
    }

    /// Why there is no answer for these rows. Whoever has the `weights` is told where values left
    /// their bounds.
    ///
    /// # Errors
    /// The program cannot be run on them.
    pub fn held_back(&self, left: &[usize], weights: Option<&[Vec<i64>]>) -> Result<Error> {
        let first = match weights {
            Some(weights) => first_beyond(self.program, weights, &self.batches, &self.columns)?,
            None => None,
        };
        Ok(Error::new(held_back(left, first.as_ref(), &self.names())))
    }

    /// What was given for each row.
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().take(1).flatten().map(|row| row.name.clone()).collect()
    }

    /// What the float model says.
    ///
    /// # Errors
    /// It cannot be evaluated.
    pub fn float(&self, model: &FloatModel) -> Result<Vec<Results>> {
        let mut results = self.empty.clone();
        for run in 0..self.runs() {
            for (results, opened) in results.iter_mut().zip(model.run(self.batch(run))?) {
                results.add(&opened);
            }
        }
        Ok(results)
    }

    /// Every input of one run.
    fn batch(&self, run: usize) -> Vec<Vec<f32>> {
        self.columns.iter().map(|column| self.batches.fill(run, column)).collect()
    }

    fn nothing(&self) -> Given {
        Given { results: self.empty.clone(), left: Vec::new() }
    }

    /// Adds the outputs of a run; there are none where a value left its bounds.
    fn add(&self, given: &mut Given, run: usize, outputs: Option<&[Vec<i64>]>) -> Result<()> {
        let Some(outputs) = outputs else {
            given.left.extend(self.batches.rows_of(run, self.rows()));
            return Ok(());
        };
        let results = given.results.iter_mut();
        for ((results, output), opened) in results.zip(&self.program.outputs).zip(outputs) {
            results.open(output, value(self.program, output.value, "an output")?, opened);
        }
        Ok(())
    }
}

/// Runs, as few times as it takes with so many at once, and about as many each time.
fn groups(runs: usize, at_once: usize) -> impl Iterator<Item = Range<usize>> {
    let times = runs.div_ceil(at_once.max(1)).max(1);
    let (size, more) = (runs / times, runs % times);
    let first = move |time: usize| time * size + time.min(more);
    (0..times).map(move |time| first(time)..first(time + 1)).filter(|group| !group.is_empty())
}

/// What each input must be, with the shapes that the program was compiled for.
///
/// # Errors
/// The program declares no value for one, or has none.
pub fn specs(program: &Program) -> Result<Vec<InputSpec>> {
    if program.inputs.is_empty() {
        return Err(Error::new("the model has no inputs: it gives the same whatever it is run on"));
    }
    let spec = |input: &Input| {
        Ok(InputSpec {
            name: input.name.clone(),
            shape: given_shape(program, input)?.to_vec(),
            low: input.low,
            high: input.high,
            factors: input.factors.clone(),
            classes: input.classes,
            preprocessing: input.preprocessing.clone(),
        })
    };
    program.inputs.iter().map(spec).collect()
}

/// The shape of what is given for an input, with the axis of a batch.
///
/// # Errors
/// The program declares no value for it.
pub fn given_shape<'a>(program: &'a Program, input: &Input) -> Result<&'a [usize]> {
    let shape = input.given_shape(program);
    shape.ok_or_else(|| Error::new("an input of the model has no value; compile it again"))
}

/// The names and values of the outputs.
///
/// # Errors
/// The program declares no value for one.
pub fn outputs(program: &Program) -> Result<Vec<(&str, &Value)>> {
    let output = |output: &'_ cryptflow_program::Output| value(program, output.value, "an output");
    program.outputs.iter().map(|o| Ok((o.name.as_str(), output(o)?))).collect()
}

/// A value; `what` it is begins the sentence that there is none.
fn value<'a>(program: &'a Program, id: ValueId, what: &str) -> Result<&'a Value> {
    let value = program.values.get(id.0);
    value.ok_or_else(|| Error::new(format!("{what} of the model has no value; compile it again")))
}
