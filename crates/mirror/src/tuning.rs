//! What the parties of a session choose alike, beside the ring: what a round is worth, and in which
//! portions they go through a tensor.

use std::ops::Range;

use cryptflow_mpc::Error;

/// What a round is worth, for choosing plans and forms (the bits that the slowest link carries in one
/// round trip), and what memory is. The same for all parties of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Bits of traffic that one round may cost.
    pub bits_per_round: u64,
    /// Whether the choice of a ReLU that widens is made in the large ring where a round is worth what that takes: parties
    /// of older releases cannot.
    pub chooses_wide: bool,
    /// Whether what P2 deals is weighed by how long it occupies P2's links, which are used beside those between the evaluators, and not as traffic
    /// alone: parties of older releases know no such thing.
    pub deals_beside: bool,
    /// Whether steps that do not depend on each other run beside each other, and share rounds: parties of older
    /// releases cannot.
    pub beside: bool,
    /// Whether the sign of r is a part of the mask of what a comparison finds, and not dealt: parties of older releases deal it.
    pub masks_signs: bool,
    /// Elements of a block: one message each. A multiple of 128, so that halves of blocks are whole
    /// words of bit planes.
    pub block: usize,
    /// Blocks that are computed side by side before their messages leave.
    pub window: usize,
    /// Elements whose comparison material is held at a time: it bounds memory for huge layers. A
    /// multiple of a block's.
    pub wave: usize,
    /// What a test plants.
    #[cfg(all(test, debug_assertions))]
    pub planted: Option<crate::planted::Bug>,
}

impl Tuning {
    /// A local network: 0.2 ms at 3 Gbit/s. Halves of blocks are whole SIMD registers.
    pub const USUAL: Tuning = Tuning {
        bits_per_round: 600_000,
        chooses_wide: false,
        deals_beside: false,
        beside: true,
        masks_signs: true,
        block: 1 << 14,
        window: 8,
        wave: 1 << 20,
        #[cfg(all(test, debug_assertions))]
        planted: None,
    };

    /// All of it, as keys are derived for it.
    pub fn parameters(&self) -> Vec<u64> {
        let numbers = [self.bits_per_round, self.block as u64, self.window as u64, self.wave as u64];
        // As before there was any of these, where there is none.
        let newer = [self.chooses_wide, self.beside, self.deals_beside, self.masks_signs];
        let newer = newer.iter().rev().fold(0, |bits, is| bits << 1 | u64::from(*is));
        numbers.into_iter().chain((newer > 0).then_some(newer)).collect()
    }

    /// What a form of a step comes to, for choosing between several, in bits: so many of them dealt for each of `len` elements, so many opened by
    /// each evaluator, in so many rounds. It is all traffic, and the rounds; or for how long the step occupies the link between the evaluators, with the rounds that they
    /// wait, or else one of P2's two, which deals ahead while they wait (half of that time is left for the other steps' dealing), and a little for all traffic, so
    /// that of two equals the smaller one is taken.
    pub(crate) fn comes_to(&self, len: usize, dealt: u64, opened: u64, rounds: u64) -> u64 {
        let all = |bits: u64| bits.saturating_mul(len as u64);
        let (traffic, rounds) = (all(dealt + 2 * opened), rounds.saturating_mul(self.bits_per_round));
        if self.deals_beside {
            all(opened).saturating_add(rounds).max(all(dealt) / 4).saturating_add(traffic / 64)
        } else {
            traffic.saturating_add(rounds)
        }
    }

    /// What a session cannot be run with.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Tuning { block, window, wave, .. } = *self;
        let fits =
            block > 0 && block.is_multiple_of(128) && window > 0 && wave > 0 && wave.is_multiple_of(block);
        if fits {
            return Ok(());
        }
        let reason = format!(
            "waves of {wave} elements in blocks of {block}, {window} at a time: a block is a multiple of 128 \
             elements, a wave one of a block"
        );
        Err(Error::Range { operation: "session", reason })
    }

    /// The blocks of a tensor.
    pub(crate) fn blocks(&self, len: usize) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
        let block = self.block;
        (0..len.div_ceil(block)).map(move |i| i * block..((i + 1) * block).min(len))
    }

    /// Elements that are compared at a time with so many thresholds.
    pub(crate) fn compared(&self, thresholds: usize) -> usize {
        (self.wave / thresholds.max(1) / self.block * self.block).max(self.block)
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning::USUAL
    }
}

/// Where a block of `len` elements is cut: P1 is sent the corrections of the first half, P0 those
/// of the second, so that both of P2's links carry the same.
pub(crate) fn cut(len: usize) -> usize {
    len.div_ceil(2).next_multiple_of(64).min(len)
}
