//! What the bugs do that tests plant in dealing and opening (see [`crate::planted`]).

use std::sync::Arc;

use cryptflow_mpc::stream::{Change, Stream};
use cryptflow_mpc::{Error, Party};
use cryptflow_ring::pack::{pack, packed_len};
use cryptflow_ring::planes::plane_words;
use cryptflow_wire::Link;

use super::values::correction_bytes;
use super::{Pads, Sealed, Session, receive};
use crate::Tuning;
use crate::planted::Bug;

/// What a bug keeps.
#[derive(Default)]
pub(super) struct Plant {
    /// How many streams were drawn of each key.
    mark: Vec<(Party, u64)>,
    /// How the next streams are changed.
    next: Option<Change>,
}

fn change(word: impl Fn(&dyn Fn(u64) -> u64, u64) -> u64 + Send + Sync + 'static) -> Change {
    Arc::new(word)
}

/// A stream of zeros.
pub(super) fn bare(stream: Stream) -> Stream {
    stream.insecure_changed(change(|_, _| 0))
}

impl Pads {
    fn changed(self, change: &Change) -> Pads {
        let changed = |stream: Stream| stream.insecure_changed(Arc::clone(change));
        match self {
            Pads::Evaluator(own) => Pads::Evaluator(changed(own)),
            Pads::Dealer(keys) => Pads::Dealer(keys.map(changed)),
        }
    }

    fn copy(&self) -> Pads {
        match self {
            Pads::Evaluator(own) => Pads::Evaluator(own.insecure_copy()),
            Pads::Dealer(keys) => Pads::Dealer(keys.each_ref().map(Stream::insecure_copy)),
        }
    }
}

/// The first pads in place of all.
pub(super) fn first(pads: Vec<Pads>) -> Vec<Pads> {
    pads.iter().filter_map(|_| pads.first().map(Pads::copy)).collect()
}

/// The first dealt pads in place of an opening's, where there are any.
pub(super) fn of(dealt: &[Pads], opened: Pads) -> Pads {
    dealt.first().map_or(opened, Pads::copy)
}

impl Sealed {
    pub(super) fn send_along(&mut self, mask: &[u64], bits: u32) {
        pack(mask, bits, &mut self.0);
    }
}

impl Session {
    pub(super) fn plant_dealt(&mut self, pads: Pads) -> Pads {
        let block = self.tuning.block as u64;
        let changed = match self.tuning.planted {
            Some(Bug::BareDealing) => change(|_, _| 0),
            Some(Bug::EvenDealtPads) => change(|word, at| word(at) & !1),
            Some(Bug::OneDealtPadForBlocks) => change(move |word, at| word(at % block)),
            Some(Bug::OnePadForDealtPlanes) => match self.plant.next.take() {
                Some(next) => next,
                None => return pads,
            },
            _ => return pads,
        };
        pads.changed(&changed)
    }

    pub(super) fn plant_opened(&mut self, pads: Pads) -> Pads {
        let Tuning { block, window, .. } = self.tuning;
        let (block, window) = (block as u64, (block * window) as u64);
        let changed = match (self.plant.next.take(), self.tuning.planted) {
            (Some(next), _) => next,
            (None, Some(Bug::ShortPads)) => change(|word, at| word(at) & 0x3f),
            (None, Some(Bug::EvenPads)) => change(|word, at| word(at) & !1),
            (None, Some(Bug::OnePadForBlocks)) => change(move |word, at| word(at % block)),
            (None, Some(Bug::OnePadForWindows)) => change(move |word, at| word(at % window)),
            (None, _) => return pads,
        };
        pads.changed(&changed)
    }

    /// The next opening has no pads, if so said.
    pub(crate) fn bare_next(&mut self, bare: bool) {
        self.plant.next = bare.then(|| change(|_, _| 0));
    }

    /// The words of the next opening are repeated after so many.
    pub(crate) fn repeat_next(&mut self, words: usize) {
        let words = words as u64;
        self.plant.next = Some(change(move |word, at| word(at % words)));
    }

    /// The next planes, so many of a block, all have the first one's pad.
    pub(crate) fn repeat_next_planes(&mut self, count: usize) {
        let plane = plane_words(self.tuning.block) as u64;
        let stride = plane * count as u64;
        self.plant.next = Some(change(move |word, at| word(at / stride * stride + at % stride % plane)));
    }

    fn others(&self) -> impl Iterator<Item = Party> + use<> {
        let party = self.party;
        Party::all(3).filter(move |other| *other != party)
    }

    /// Remembers how many streams were drawn.
    pub(crate) fn mark(&mut self) {
        let others = self.others();
        let mut common = self.common();
        let mark = others.map(|other| (other, common.keys.with(other).insecure_drawn())).collect();
        drop(common);
        self.plant.mark = mark;
    }

    /// Draws again what was drawn since then.
    pub(crate) fn rewind(&mut self) {
        for (other, drawn) in self.plant.mark.clone() {
            self.common().keys.with(other).insecure_rewind(drawn);
        }
    }

    /// Draws so many streams of P2's keys again.
    pub(crate) fn back(&mut self, streams: u64) {
        let dealer = self.is_dealer();
        for other in self.others().filter(|other| dealer || *other == Party::P2) {
            let mut common = self.common();
            let key = common.keys.with(other);
            key.insecure_rewind(key.insecure_drawn().saturating_sub(streams));
        }
    }

    /// Draws the last stream again, if so said.
    pub(crate) fn back_if(&mut self, refused: bool) {
        self.back(u64::from(refused));
    }

    /// Draws everything again.
    pub(crate) fn begin_again(&mut self) {
        self.others().for_each(|other| self.common().keys.with(other).insecure_rewind(0));
    }

    /// P2 hears what P0 opens.
    pub(super) fn hear(&self, len: usize, bits: u32) -> Result<(), Error> {
        for block in self.tuning.blocks(len) {
            receive(self.links.to(Party::P0.index()), packed_len(block.len(), bits))?;
        }
        Ok(())
    }

    /// What P2 deals to the other evaluator comes to this one, too.
    pub(super) fn overhear(&self, bytes: usize) -> Result<(), Error> {
        receive(self.dealer(), bytes).map(drop)
    }

    pub(super) fn overhear_values(&self, len: usize, dealt: &[u32]) -> Result<(), Error> {
        self.overhear(correction_bytes(len, dealt, !self.is_first()))
    }

    /// P0's message for P1 goes to P2, too.
    pub(super) fn open_to_helper(&self, message: &Sealed) -> Result<(), Error> {
        if self.is_first() {
            self.links.to(Party::P2.index()).send(message.0.clone())?;
        }
        Ok(())
    }

    /// What P2 deals to one evaluator goes to the other one, too.
    pub(super) fn deal_to_both(&self, [to0, to1]: [&Sealed; 2]) -> Result<(), Error> {
        let send = |link: &Link, message: &Sealed| Sealed(message.0.clone()).send(link);
        send(self.links.to(Party::P0.index()), to1)?;
        send(self.links.to(Party::P1.index()), to0)
    }
}
