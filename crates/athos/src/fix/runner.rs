//! What runs programs on plain integers: the compiler knows no protocol, its caller brings one.

use std::fmt;

use cryptflow_program::{Checked, ValueId};

/// Why a program could not be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RunError(String);

impl RunError {
    /// With what the runner says of it.
    pub fn new(reason: impl fmt::Display) -> RunError {
        RunError(reason.to_string())
    }
}

/// Runs programs on plain integers: what the compiler compares with the float model.
pub trait FixedRunner {
    /// A program and its weights (one after another, by id), to be run on several examples: what need not be done for
    /// each of them is done once. A weight is there once, in the form in which the runner keeps it.
    ///
    /// # Errors
    /// What failed.
    fn load<'a>(
        &'a self,
        program: &'a Checked,
        weights: &mut dyn Iterator<Item = Vec<i64>>,
    ) -> Result<Box<dyn LoadedProgram + 'a>, RunError>;

    /// Runs a program once, see [`LoadedProgram::run`].
    ///
    /// # Errors
    /// What failed.
    fn run(
        &self,
        program: &Checked,
        weights: &[Vec<i64>],
        inputs: &[Vec<i64>],
        observe: &mut dyn FnMut(ValueId, &[i64]),
    ) -> Result<Vec<Vec<i64>>, RunError> {
        self.load(program, &mut weights.iter().cloned())?.run(inputs, observe)
    }
}

/// A program that is ready to run, see [`FixedRunner::load`].
pub trait LoadedProgram {
    /// How many examples are best run at once: more than one where a step computes little beside what it takes to
    /// begin it.
    fn at_once(&self) -> usize {
        1
    }

    /// How many times as many run beside each other, on threads of their own.
    fn beside(&self) -> usize {
        1
    }

    /// Runs it on the inputs of several examples, and returns the outputs of each: so many at once as that is best, one
    /// group after another or beside each other, which changes no answer.
    ///
    /// # Errors
    /// What failed.
    fn run_several(&self, examples: &[Vec<Vec<i64>>]) -> Result<Vec<Vec<Vec<i64>>>, RunError> {
        examples.iter().map(|inputs| self.run_watched(inputs, &|_| false, &mut |_, _| ())).collect()
    }

    /// Passes over so many examples, a multiple of those that are run at once: what is run then is rounded as it would be
    /// after them. Where all runs are rounded in the same way, there is nothing to do.
    fn pass_over(&self, examples: usize);

    /// Runs it on inputs (in order), and returns its outputs, in order. `observe` sees every value
    /// that a step computes, as signed integers.
    ///
    /// # Errors
    /// What failed.
    fn run(
        &self,
        inputs: &[Vec<i64>],
        observe: &mut dyn FnMut(ValueId, &[i64]),
    ) -> Result<Vec<Vec<i64>>, RunError> {
        self.run_watched(inputs, &|_| true, observe)
    }

    /// The same, where `observe` sees no values but those that are watched: to show one takes as long as to compute it.
    ///
    /// # Errors
    /// What failed.
    fn run_watched(
        &self,
        inputs: &[Vec<i64>],
        watched: &dyn Fn(ValueId) -> bool,
        observe: &mut dyn FnMut(ValueId, &[i64]),
    ) -> Result<Vec<Vec<i64>>, RunError>;
}
