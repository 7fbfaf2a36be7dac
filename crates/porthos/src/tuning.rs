//! In which portions the parties of a session go through a tensor, alike.

use std::ops::Range;

use cryptflow_mpc::Error;
use cryptflow_ring::small_field::LANES;

/// What memory is. The same for all parties of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Elements of a block: one message each. A multiple of 128, two groups of a comparison.
    pub block: usize,
    /// Elements that go through the steps of a comparison side by side. What P2 and an evaluator have
    /// under way to each other must fit their link's queues, so that nobody waits in a circle.
    pub wave: usize,
    /// What a test plants.
    #[cfg(all(test, debug_assertions))]
    pub planted: Option<crate::planted::Bug>,
}

impl Tuning {
    /// Blocks of 2^14 elements, and waves of 2^20.
    pub const USUAL: Tuning = Tuning {
        block: 1 << 14,
        wave: 1 << 20,
        #[cfg(all(test, debug_assertions))]
        planted: None,
    };

    /// All of it, as keys are derived for it.
    pub(crate) fn parameters(&self) -> [u64; 2] {
        [self.block as u64, self.wave as u64]
    }

    /// What a session cannot be run with.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Tuning { block, wave, .. } = *self;
        if block > 0 && block.is_multiple_of(2 * LANES) && wave > 0 {
            return Ok(());
        }
        let reason =
            format!("waves of {wave} elements in blocks of {block}: a block is a multiple of {}", 2 * LANES);
        Err(Error::Range { operation: "session", reason })
    }

    /// The blocks of a tensor.
    pub(crate) fn blocks(&self, len: usize) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
        let block = self.block;
        (0..len.div_ceil(block)).map(move |i| i * block..((i + 1) * block).min(len))
    }

    /// The waves of a tensor.
    pub(crate) fn waves(&self, len: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let wave = self.wave;
        (0..len).step_by(wave).map(move |start| start..(start + wave).min(len))
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning::USUAL
    }
}

/// Where a block of `len` elements is cut: P1 is sent P2's part of the first elements, P0 that of
/// the rest.
pub(crate) fn cut(len: usize) -> usize {
    len.div_ceil(2).next_multiple_of(LANES).min(len)
}
