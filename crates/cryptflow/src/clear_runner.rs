//! Runs programs on plain integers for the compiler: the engine over [`Clear`], which rounds as
//! shares are rounded, with every value shown on the way.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use cryptflow_athos::fix::{FixedRunner, LoadedProgram, RunError};
use cryptflow_engine::{Observer, Silent, execute};
use cryptflow_mpc::Party;
use cryptflow_mpc::clear::{Clear, ClearValue, ClearWeight, ShortWeights};
use cryptflow_party::limits::fits_this_machine;
use cryptflow_program::{Checked, Repeated, Step, ValueId, demand, repeat};
use rayon::prelude::*;

/// The same model compiles to the same program; the number of the run comes first.
const SEED: [u8; 16] = *b"--------rounding";

/// Steps from which on a program is long, and operations of each, in the time of a multiplication, up to which its steps
/// are short: it takes more time to begin them than to compute.
const LONG: usize = 512;
const SHORT: u64 = 80_000;

/// Runs at once of a long program of short steps.
const AT_ONCE: usize = 16;

/// Of these so many beside each other at most: each holds the values of its runs.
const MOST_BESIDE: usize = 4;

/// The engine over [`Clear`], as the compiler wants it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClearRunner;

impl FixedRunner for ClearRunner {
    fn load<'a>(
        &'a self,
        program: &'a Checked,
        weights: &mut dyn Iterator<Item = Vec<i64>>,
    ) -> Result<Box<dyn LoadedProgram + 'a>, RunError> {
        fits_this_machine(program).map_err(RunError::new)?;
        let weights = weights.map(ClearWeight::of_integers).collect();
        Ok(Box::new(Loaded { program, weights, runs: AtomicU64::new(0), repeated: OnceLock::new() }))
    }
}

/// A program with its weights.
struct Loaded<'a> {
    program: &'a Checked,
    weights: Vec<ClearWeight>,
    /// Runs so far: each has errors of its own.
    runs: AtomicU64,
    /// [`AT_ONCE`] runs of it, where that can be and was asked for.
    repeated: OnceLock<Option<Repeated>>,
}

impl Loaded<'_> {
    /// The first of so many runs, of which each has a number of its own.
    fn next(&self, runs: usize) -> u64 {
        self.runs.fetch_add(runs as u64, Ordering::Relaxed)
    }

    /// A run with errors of its own, by its number.
    fn execute(
        &self,
        number: u64,
        program: &Checked,
        inputs: Vec<ClearValue>,
        observer: &mut dyn Observer<ClearValue>,
    ) -> Result<Vec<ClearValue>, RunError> {
        let mut seed = SEED;
        seed[..8].copy_from_slice(&number.to_le_bytes());
        let mut clear = ShortWeights(Clear::rounding_as_shares(Party::P0, program.ring_bits, seed));
        execute(&mut clear, program, &self.weights, inputs, observer).map_err(RunError::new)
    }

    /// A run of one example.
    fn run_alone(
        &self,
        inputs: &[Vec<i64>],
        observer: &mut dyn Observer<ClearValue>,
    ) -> Result<Vec<Vec<i64>>, RunError> {
        let ring = self.program.ring_bits;
        let inputs = inputs.iter().map(|data| ClearValue::from_signed(data, ring)).collect();
        let outputs = self.execute(self.next(1), self.program, inputs, observer)?;
        Ok(outputs.iter().map(ClearValue::signed).collect())
    }

    /// [`AT_ONCE`] runs as one program; none where it is no such program, or they have no room.
    fn repeated(&self) -> Option<&Repeated> {
        let make = || {
            let steps = self.program.steps.len();
            let is_wanted = steps >= LONG && demand(self.program).work / (steps as u64) < SHORT;
            let repeated = is_wanted.then(|| repeat(self.program, AT_ONCE).ok()).flatten()?;
            fits_this_machine(repeated.program()).is_ok().then_some(repeated)
        };
        self.repeated.get_or_init(make).as_ref()
    }

    /// So many examples as one run has, at most: the last one is there again where there are fewer.
    fn run_at_once(
        &self,
        number: u64,
        repeated: &Repeated,
        examples: &[Vec<Vec<i64>>],
    ) -> Result<Vec<Vec<Vec<i64>>>, RunError> {
        let runs = repeated.runs();
        // All of the first input, one run after another, then all of the second.
        let of_input = |index: usize| {
            let of_run =
                |run: usize| examples.get(run).or(examples.last()).and_then(|inputs| inputs.get(index));
            let all: Vec<i64> = (0..runs).filter_map(of_run).flatten().copied().collect();
            ClearValue::from_signed(&all, self.program.ring_bits)
        };
        let inputs = (0..self.program.inputs.len()).map(of_input).collect();
        let outputs = self.execute(number, repeated.program(), inputs, &mut Silent)?;
        let outputs: Vec<Vec<i64>> = outputs.iter().map(ClearValue::signed).collect();
        let of_run = |run: usize| {
            let part = |data: &Vec<i64>| {
                let len = data.len() / runs;
                data.iter().skip(run * len).take(len).copied().collect()
            };
            outputs.iter().map(part).collect()
        };
        Ok((0..examples.len()).map(of_run).collect())
    }
}

impl LoadedProgram for Loaded<'_> {
    fn at_once(&self) -> usize {
        self.repeated().map_or(1, Repeated::runs)
    }

    fn beside(&self) -> usize {
        if self.repeated().is_some() { rayon::current_num_threads().min(MOST_BESIDE) } else { 1 }
    }

    fn run_several(&self, examples: &[Vec<Vec<i64>>]) -> Result<Vec<Vec<Vec<i64>>>, RunError> {
        let Some(repeated) = self.repeated() else {
            return examples.iter().map(|inputs| self.run_alone(inputs, &mut Silent)).collect();
        };
        let groups: Vec<&[Vec<Vec<i64>>]> = examples.chunks(repeated.runs()).collect();
        let first = self.next(groups.len());
        let all = groups.par_iter().enumerate().map(|(group, examples)| {
            // Each group is the run that it would be after the others.
            self.run_at_once(first + group as u64, repeated, examples)
        });
        Ok(all.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn pass_over(&self, examples: usize) {
        self.next(examples.div_ceil(self.at_once()));
    }

    fn run_watched(
        &self,
        inputs: &[Vec<i64>],
        watched: &dyn Fn(ValueId) -> bool,
        observe: &mut dyn FnMut(ValueId, &[i64]),
    ) -> Result<Vec<Vec<i64>>, RunError> {
        self.run_alone(inputs, &mut Shown { watched, observe })
    }
}

/// Shows every value that a step computes and that is watched.
struct Shown<'a> {
    watched: &'a dyn Fn(ValueId) -> bool,
    observe: &'a mut dyn FnMut(ValueId, &[i64]),
}

impl Observer<ClearValue> for Shown<'_> {
    fn computed(&mut self, step: &Step, value: &ClearValue) {
        if (self.watched)(step.output) {
            (self.observe)(step.output, &value.signed());
        }
    }
}
