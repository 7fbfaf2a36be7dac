//! What the bugs do that tests plant.

use std::sync::Arc;

use cryptflow_mpc::Party;
use cryptflow_mpc::keys::Keys;
use cryptflow_mpc::stream::{Change, Stream};

use super::Bug;
use crate::Tuning;
use crate::session::Dealt;

/// What a bug keeps.
#[derive(Default)]
pub(crate) struct Plant {
    /// How many streams were drawn of each key.
    mark: Vec<(Party, u64)>,
    /// How the next stream with P2 is changed.
    next: Option<Change>,
}

fn changed(stream: Stream, word: impl Fn(&dyn Fn(u64) -> u64, u64) -> u64 + Send + Sync + 'static) -> Stream {
    stream.insecure_changed(Arc::new(word))
}

/// A stream of zeros.
pub(crate) fn bare(stream: Stream) -> Stream {
    changed(stream, |_, _| 0)
}

/// A stream of bytes that are one.
pub(crate) fn ones(stream: Stream) -> Stream {
    changed(stream, |_, _| u64::from_le_bytes([1; 8]))
}

impl Dealt {
    pub(crate) fn copy(&self) -> Dealt {
        match self {
            Dealt::Evaluator(own) => Dealt::Evaluator(own.insecure_copy()),
            Dealt::Dealer(keys) => Dealt::Dealer(keys.each_ref().map(Stream::insecure_copy)),
        }
    }

    fn changed(self, change: &Change) -> Dealt {
        let changed = |stream: Stream| stream.insecure_changed(Arc::clone(change));
        match self {
            Dealt::Evaluator(own) => Dealt::Evaluator(changed(own)),
            Dealt::Dealer(keys) => Dealt::Dealer(keys.map(changed)),
        }
    }
}

impl Plant {
    /// What P2 shares with the evaluators, with the bug.
    pub(crate) fn dealt(&mut self, tuning: &Tuning, dealt: Dealt) -> Dealt {
        let block = tuning.block as u64;
        let change: Change = match (self.next.take(), tuning.planted) {
            (Some(next), _) => next,
            (None, Some(Bug::OnePadForBlocks)) => Arc::new(move |word, at| word(at % block)),
            (None, Some(Bug::BareDealing)) => Arc::new(|_, _| 0),
            (None, Some(Bug::ShortPads)) => Arc::new(|word, at| word(at) & 0xffff),
            (None, Some(Bug::EvenPads)) => Arc::new(|word, at| word(at) & !1),
            (None, _) => return dealt,
        };
        dealt.changed(&change)
    }

    /// The next of them are zeros.
    pub(crate) fn bare_next(&mut self) {
        self.next = Some(Arc::new(|_, _| 0));
    }

    /// The next of them are repeated after so many words.
    pub(crate) fn repeat_next(&mut self, words: u64) {
        self.next = Some(Arc::new(move |word, at| word(at % words)));
    }

    /// Remembers how many streams were drawn.
    pub(crate) fn mark(&mut self, party: Party, keys: &mut Keys) {
        let others = Party::all(3).filter(|other| *other != party);
        self.mark = others.map(|other| (other, keys.with(other).insecure_drawn())).collect();
    }

    /// Draws again what was drawn since then.
    pub(crate) fn rewind(&mut self, keys: &mut Keys) {
        for (other, drawn) in &self.mark {
            keys.with(*other).insecure_rewind(*drawn);
        }
    }

    /// Draws everything again.
    pub(crate) fn begin_again(&mut self, party: Party, keys: &mut Keys) {
        let others = Party::all(3).filter(|other| *other != party);
        others.for_each(|other| keys.with(other).insecure_rewind(0));
    }

    /// Draws the last stream with P2 again, if so said.
    pub(crate) fn back_if(&mut self, refused: bool, party: Party, keys: &mut Keys) {
        let others = Party::all(3).filter(|other| *other != party);
        for other in others.filter(|other| refused && (party == Party::P2 || *other == Party::P2)) {
            let drawn = keys.with(other).insecure_drawn();
            keys.with(other).insecure_rewind(drawn.saturating_sub(1));
        }
    }
}
