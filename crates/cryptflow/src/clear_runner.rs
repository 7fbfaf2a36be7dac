//! Runs programs on plain integers for the compiler: the engine over [`Clear`], which rounds as
//! shares are rounded, with every value shown on the way.

use std::borrow::Cow;
use std::cell::Cell;

use cryptflow_athos::fix::{FixedRunner, LoadedProgram, RunError};
use cryptflow_engine::{Observer, execute};
use cryptflow_mpc::Party;
use cryptflow_mpc::clear::{Clear, ClearValue};
use cryptflow_party::limits::fits_this_machine;
use cryptflow_program::{Checked, Step, ValueId};

/// The same model compiles to the same program; the number of the run comes first.
const SEED: [u8; 16] = *b"--------rounding";

/// The engine over [`Clear`], as the compiler wants it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClearRunner;

impl FixedRunner for ClearRunner {
    fn load<'a>(
        &'a self,
        program: &'a Checked,
        weights: Cow<'a, [Vec<i64>]>,
    ) -> Result<Box<dyn LoadedProgram + 'a>, RunError> {
        fits_this_machine(program).map_err(RunError::new)?;
        // As words, which is what products are computed of; what is given away becomes them where it lies.
        let weights = match weights {
            Cow::Owned(all) => all.into_iter().map(ClearValue::from_words).collect(),
            Cow::Borrowed(all) => all.iter().map(|data| ClearValue::from_signed(data, 64)).collect(),
        };
        Ok(Box::new(Loaded { program, weights, runs: Cell::new(0) }))
    }
}

/// A program with its weights as words.
struct Loaded<'a> {
    program: &'a Checked,
    weights: Vec<ClearValue>,
    /// Runs so far: each has errors of its own.
    runs: Cell<u64>,
}

impl LoadedProgram for Loaded<'_> {
    fn run(
        &self,
        inputs: &[Vec<i64>],
        observe: &mut dyn FnMut(ValueId, &[i64]),
    ) -> Result<Vec<Vec<i64>>, RunError> {
        let Loaded { program, weights, runs } = self;
        let ring = program.ring_bits;
        let inputs = inputs.iter().map(|data| ClearValue::from_signed(data, ring)).collect();
        let mut seed = SEED;
        seed[..8].copy_from_slice(&runs.replace(runs.get() + 1).to_le_bytes());
        let mut clear = Clear::rounding_as_shares(Party::P0, ring, seed);
        let outputs =
            execute(&mut clear, program, weights, inputs, &mut Shown(observe)).map_err(RunError::new)?;
        Ok(outputs.iter().map(ClearValue::signed).collect())
    }
}

/// Shows every value that a step computes.
struct Shown<'a>(&'a mut dyn FnMut(ValueId, &[i64]));

impl Observer<ClearValue> for Shown<'_> {
    fn computed(&mut self, step: &Step, value: &ClearValue) {
        (self.0)(step.output, &value.signed());
    }
}
