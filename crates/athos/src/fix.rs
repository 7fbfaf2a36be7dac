//! The fixed-point step: from the graph in floats to a program in integers.
//!
//! ```text
//! ranges (calibrate | interval) ──▶ plan (lower, schedule) ──quantise──▶ program
//!                                                             ▲ scale, ring: the search runs the program and compares
//! ```
//! Nothing here knows a protocol; programs are run by a [`FixedRunner`] that the caller brings.

pub mod calibrate;
pub(crate) mod image;
pub mod interval;
pub mod lower;
pub(crate) mod plan;
pub(crate) mod planner;
pub(crate) mod quantise;
pub mod report;
pub(crate) mod schedule;
pub(crate) mod search;
pub(crate) mod trial;

use cryptflow_program::{Program, ValueId};

pub use lower::Unsupported;

/// Runs a program on plain integers: what the compiler compares with the float model.
pub trait FixedRunner {
    /// Runs a program on its weights (by id) and inputs (in order), and returns its outputs, in order. `observe` sees
    /// every value that a step computes, as signed integers.
    ///
    /// # Errors
    /// A text that says what failed.
    fn run(
        &self,
        program: &Program,
        weights: &[Vec<i64>],
        inputs: &[Vec<i64>],
        observe: &mut dyn FnMut(ValueId, &[i64]),
    ) -> Result<Vec<Vec<i64>>, String>;

    /// A program and its weights, to be run on several examples: what need not be done for each of them is done once.
    ///
    /// # Errors
    /// A text that says what failed.
    fn load<'a>(
        &'a self,
        program: &'a Program,
        weights: &'a [Vec<i64>],
    ) -> Result<Box<dyn LoadedProgram + 'a>, String> {
        Ok(Box::new(Unloaded { runner: self, program, weights }))
    }
}

/// A program that is ready to run, see [`FixedRunner::load`].
pub trait LoadedProgram {
    /// As [`FixedRunner::run`].
    ///
    /// # Errors
    /// A text that says what failed.
    fn run(
        &self,
        inputs: &[Vec<i64>],
        observe: &mut dyn FnMut(ValueId, &[i64]),
    ) -> Result<Vec<Vec<i64>>, String>;
}

/// Nothing was done beforehand.
struct Unloaded<'a, R: ?Sized> {
    runner: &'a R,
    program: &'a Program,
    weights: &'a [Vec<i64>],
}

impl<R: FixedRunner + ?Sized> LoadedProgram for Unloaded<'_, R> {
    fn run(
        &self,
        inputs: &[Vec<i64>],
        observe: &mut dyn FnMut(ValueId, &[i64]),
    ) -> Result<Vec<Vec<i64>>, String> {
        self.runner.run(self.program, self.weights, inputs, observe)
    }
}

/// Why a graph did not become a program.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FixError {
    /// Operations that cannot be computed: all of them.
    #[error("{} of the model's nodes cannot be compiled: {}", .0.len(), list(.0))]
    Unsupported(Vec<Unsupported>),
    /// An example that the float model cannot be run on.
    #[error("example {index} of the calibration data: {reason}")]
    Example {
        /// Which one, from 0.
        index: usize,
        /// Why.
        reason: String,
    },
    /// A value that the ring cannot hold.
    #[error(
        "layer {layer} needs a ring of {needed} bits at {scale} fractional bits, and there are {there}: {}",
        advice(*.needed)
    )]
    DoesNotFit {
        /// The layer.
        layer: String,
        /// K that it needs.
        needed: u32,
        /// K.
        there: u32,
        /// Fractional bits.
        scale: u32,
    },
    /// No scale makes the fixed-point run agree with the float run.
    #[error("{0}")]
    NoScale(String),
    /// Running the program failed.
    #[error("the fixed-point run failed: {0}")]
    Run(String),
    /// The program contradicts its own rules: a defect of the compiler.
    #[error("the compiler made a program that breaks its own rules; please report this: {0}")]
    Internal(String),
}

fn list(nodes: &[Unsupported]) -> String {
    let all: Vec<String> =
        nodes.iter().map(|n| format!("{} ({}): {}", n.name, n.operation, n.reason)).collect();
    all.join("; ")
}

fn advice(needed: u32) -> &'static str {
    if needed <= 64 {
        "compile with a larger --ring, or a smaller --scale"
    } else {
        "no ring has so many; compile with calibration data (its bounds are far tighter than worst cases), a smaller --scale or \
         a smaller --margin"
    }
}
