//! What every step of the protocol stands on: dealing by P2 and opening between P0 and P1, in
//! blocks. Nothing else sends: links and keys are this module's own, and what leaves is [`Sealed`].
//!
//! A step goes through a tensor in blocks, one message a block, so that computing, sending and
//! dealing overlap. P2 never waits for anybody: it receives no message after the keys are agreed.

mod planes;
#[cfg(all(test, debug_assertions))]
mod planted;
mod values;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptflow_mpc::keys::Keys;
use cryptflow_mpc::same::{Roles, Same};
use cryptflow_mpc::stream::{Hidden, Ring, Stream};
use cryptflow_mpc::{Error, Party};
use cryptflow_ring::pack::pack;
use cryptflow_ring::planes::write_plane;
use cryptflow_wire::{Link, Links};
use rayon::prelude::*;

pub(crate) use planes::{Opened, Planes};

use crate::circuit::Circuit;
use crate::share::{Masked, low_bits};
use crate::tree::Tree;
use crate::tuning::Tuning;

/// Circuits, by the bits, the elements and the thresholds of comparisons. A program has few of them, and
/// each run all of them again.
type Circuits = HashMap<(u32, usize, usize), Arc<Circuit>>;

/// Elements that one thread works on at a time where nothing is sent.
pub(crate) const CHUNK: usize = 1 << 14;

/// Elements of weights that P2 writes down, at most: those of a network so small that to expand their seeds
/// in each run would be most of its work. They take 8 MiB.
const ROOM: usize = 1 << 20;

/// Streams drawn from the keys with P2: an evaluator has its own, P2 has both.
enum Pads {
    Evaluator(Stream),
    Dealer([Stream; 2]),
}

/// A message: words that are hidden, and nothing else.
struct Sealed(Vec<u8>);

impl Sealed {
    fn new(bytes: usize) -> Sealed {
        Sealed(Vec::with_capacity(bytes))
    }

    /// Values of so many bits.
    fn pack(&mut self, hidden: Hidden<'_>, bits: u32) {
        pack(hidden.words(), bits, &mut self.0);
    }

    /// Planes of `n` elements, each of so many words.
    fn planes(&mut self, hidden: Hidden<'_>, words: usize, n: usize) {
        for plane in hidden.words().chunks_exact(words.max(1)) {
            write_plane(plane, n, &mut self.0);
        }
    }

    /// An empty message is not sent.
    fn send(self, link: &Link) -> Result<(), Error> {
        if !self.0.is_empty() {
            link.send(self.0)?;
        }
        Ok(())
    }
}

/// What steps beside each other have in common.
pub(crate) struct Common {
    keys: Keys,
    /// Elements of weights that P2 may still write down.
    pub(crate) room: usize,
    /// What comparisons of the same form share.
    circuits: Circuits,
}

/// A party's side of a session, or a handle to it for a step that runs beside others.
pub(crate) struct Session {
    pub(crate) party: Party,
    pub(crate) ring_bits: u32,
    pub(crate) tuning: Tuning,
    links: Links,
    common: Arc<Mutex<Common>>,
    #[cfg(all(test, debug_assertions))]
    plant: planted::Plant,
    #[cfg(all(test, debug_assertions))]
    pub(crate) bare_signs: bool,
}

impl Session {
    pub(crate) fn new(links: Links, keys: Keys, ring_bits: u32, tuning: Tuning) -> Session {
        Session {
            party: Party::new(links.index()),
            ring_bits,
            tuning,
            links,
            common: Arc::new(Mutex::new(Common { keys, room: ROOM, circuits: Circuits::default() })),
            #[cfg(all(test, debug_assertions))]
            plant: planted::Plant::default(),
            #[cfg(all(test, debug_assertions))]
            bare_signs: false,
        }
    }

    /// Another handle to the session, for a step beside this one.
    pub(crate) fn beside(&self) -> Session {
        Session {
            party: self.party,
            ring_bits: self.ring_bits,
            tuning: self.tuning,
            links: self.links.clone(),
            common: Arc::clone(&self.common),
            #[cfg(all(test, debug_assertions))]
            plant: planted::Plant::default(),
            #[cfg(all(test, debug_assertions))]
            bare_signs: false,
        }
    }

    /// One step computes at a time, so nobody waits for it.
    pub(crate) fn common(&self) -> MutexGuard<'_, Common> {
        self.common.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True for the evaluator that adds public constants.
    pub(crate) fn is_first(&self) -> bool {
        self.party == Party::P0
    }

    pub(crate) fn is_dealer(&self) -> bool {
        self.party == Party::P2
    }

    /// For whoever must abort the session, or meters it.
    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// The circuit of a comparison of so many bits of so many elements with each of so many thresholds.
    pub(crate) fn circuit(&mut self, bits: u32, len: usize, thresholds: usize) -> Arc<Circuit> {
        let tuning = self.tuning;
        let make = || Arc::new(Circuit::new(&Tree::best(bits, len, thresholds, tuning), thresholds));
        Arc::clone(self.common().circuits.entry((bits, len, thresholds)).or_insert_with(make))
    }

    /// The link to the other evaluator.
    fn peer(&self) -> &Link {
        self.links.to(if self.is_first() { Party::P1.index() } else { Party::P0.index() })
    }

    fn dealer(&self) -> &Link {
        self.links.to(Party::P2.index())
    }

    /// Fresh streams from the keys with P2. All parties draw in the same order.
    fn pads(&mut self) -> Pads {
        let draw = |other: Party| self.common().keys.with(other).stream();
        match self.party {
            Party::P2 => Pads::Dealer([draw(Party::P0), draw(Party::P1)]),
            _ => Pads::Evaluator(draw(Party::P2)),
        }
    }

    /// Those of what P2 deals.
    fn dealt_pads(&mut self) -> Pads {
        let pads = self.pads();
        #[cfg(all(test, debug_assertions))]
        let pads = self.plant_dealt(pads);
        pads
    }

    /// Those of an opening.
    fn opened_pads(&mut self) -> Pads {
        let pads = self.pads();
        #[cfg(all(test, debug_assertions))]
        let pads = self.plant_opened(pads);
        pads
    }

    /// A stream, cut for the blocks of a tensor of which each may draw so many words.
    fn for_blocks(&self, stream: Stream, words: usize, len: usize) -> std::vec::IntoIter<Stream> {
        let blocks = len.div_ceil(self.tuning.block);
        stream.pieces(words).take(blocks).collect::<Vec<_>>().into_iter()
    }

    /// All of a stream's first `len` words, as elements of a ring: a mask that P2 knows.
    fn mask(&self, stream: Stream, len: usize, bits: u32) -> Vec<u64> {
        let block = self.tuning.block;
        let mut mask = vec![0; len];
        let pieces: Vec<Stream> = self.for_blocks(stream, block, len).collect();
        let masks = mask.par_chunks_mut(block).zip(pieces);
        masks.for_each(|(mask, piece)| piece.draw_elements(&Ring(bits), mask));
        mask
    }

    /// Begins a question whether two parties hold the same.
    pub(crate) fn same(&mut self, roles: Roles) -> Same {
        Same::begin(self.party, &mut self.common().keys, roles)
    }

    /// Its answer, for whom it is.
    pub(crate) async fn answered(&self, same: Same) -> Result<Option<bool>, Error> {
        same.finish(&self.links).await
    }

    /// An evaluator's share of a value, re-randomised by a zero share from the key that P2 does not
    /// have. Nothing for P2.
    pub(crate) fn rerandomised(&mut self, x: &Masked) -> Option<Vec<u64>> {
        let (first, ring) = (self.is_first(), Ring(x.bits));
        if self.is_dealer() {
            return None;
        }
        let other = if first { Party::P1 } else { Party::P0 };
        planted!(self.tuning, OneShareOfZero: self.common().keys.with(other).insecure_rewind(0));
        let zero = self.common().keys.with(other).stream();
        let zero = planted!(self.tuning, NoShareOfZero: planted::bare(zero); zero);
        let mut pad = vec![0; x.len()];
        if first {
            let mut share: Vec<u64> = x.a.iter().zip(&x.b).map(|(m, r)| m.wrapping_sub(*r)).collect();
            return Some(zero.hide(&ring, &mut share, &mut pad).words().to_vec());
        }
        // The client knows the sum: this share shows nothing beside it and the other one.
        zero.draw_elements(&ring, &mut pad);
        let mask = low_bits(x.bits);
        Some(x.b.iter().zip(&pad).map(|(r, zero)| r.wrapping_add(*zero).wrapping_neg() & mask).collect())
    }

    /// P2 sends each evaluator its message for every block; `pads` has what serves each of them.
    fn send_blocks<T: Send>(
        &self,
        len: usize,
        mut pads: impl FnMut() -> T,
        make: impl Fn(Range<usize>, T) -> [Sealed; 2] + Sync,
    ) -> Result<(), Error> {
        let ranges: Vec<Range<usize>> = self.tuning.blocks(len).collect();
        for window in ranges.chunks(self.tuning.window) {
            let blocks: Vec<(Range<usize>, T)> = window.iter().map(|block| (block.clone(), pads())).collect();
            let messages: Vec<[Sealed; 2]> =
                blocks.into_par_iter().map(|(block, pads)| make(block, pads)).collect();
            for [to0, to1] in messages {
                planted!(self.tuning, DealtToBoth: self.deal_to_both([&to0, &to1])?);
                to0.send(self.links.to(Party::P0.index()))?;
                to1.send(self.links.to(Party::P1.index()))?;
            }
        }
        Ok(())
    }
}

/// A message of known length; one of length 0 is never sent.
fn receive(link: &Link, expected: usize) -> Result<Vec<u8>, Error> {
    if expected == 0 { Ok(Vec::new()) } else { Ok(link.recv(expected)?) }
}
