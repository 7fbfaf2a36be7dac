//! What every step stands on: streams from the keys, messages of words, and dealing with half of it
//! saved. Nothing else sends, but for the cells of a comparison (`private_compare`): links and keys
//! are this module's own, and what leaves is [`Sealed`].

use std::ops::Range;

use cryptflow_mpc::keys::Keys;
use cryptflow_mpc::same::{Roles, Same};
use cryptflow_mpc::stream::{Group, Hidden, Ring, Stream};
use cryptflow_mpc::turn::alone;
use cryptflow_mpc::{Error, Party};
use cryptflow_ring::small_field::LANES;
use cryptflow_wire::{Link, Links};
use rayon::prelude::*;

use crate::odd::Odd;
use crate::truncation::Truncation;
use crate::tuning::{Tuning, cut};

/// Bytes of a word.
pub(crate) const WORD: usize = 8;
/// Elements that one thread works on at a time.
pub(crate) const PIECE: usize = 1 << 10;

/// Streams that P2 shares with the evaluators: an evaluator has its own, P2 both.
pub(crate) enum Dealt {
    /// P0's or P1's.
    Evaluator(Stream),
    /// P2's with P0 and with P1.
    Dealer([Stream; 2]),
}

/// A mask of which the evaluators have shares and P2 the sum.
pub(crate) enum Mask {
    /// P0's or P1's, not yet drawn: it hides what is opened.
    Evaluator(Stream),
    /// The mask itself.
    Dealer(Vec<u64>),
}

/// Words of a message: they are hidden from whoever gets them.
#[derive(Default)]
pub(crate) struct Sealed(Vec<u64>);

impl Sealed {
    /// Hidden words, behind those that are there.
    pub(crate) fn push(&mut self, hidden: Hidden<'_>) {
        self.0.extend_from_slice(hidden.words());
    }

    /// Other hidden words, behind those that are there.
    pub(crate) fn append(&mut self, mut other: Sealed) {
        self.0.append(&mut other.0);
    }

    /// Words that the receiver could draw from its own key.
    fn known(words: &[u64]) -> Sealed {
        Sealed(words.to_vec())
    }

    fn send(&self, link: &Link) -> Result<(), Error> {
        if !self.0.is_empty() {
            link.send(to_bytes(&self.0))?;
        }
        Ok(())
    }
}

/// Bits of a word. Shares are modulo 2^64 in every session; tests enumerate what a party sees over
/// smaller words.
pub(crate) const WORD_BITS: u32 = 64;

/// A party's side of a session over words of L bits.
pub(crate) struct Session<const L: u32 = WORD_BITS> {
    pub(crate) party: Party,
    pub(crate) truncation: Truncation,
    pub(crate) tuning: Tuning,
    links: Links,
    keys: Keys,
    #[cfg(all(test, debug_assertions))]
    pub(crate) plant: crate::planted::Plant,
}

impl<const L: u32> Session<L> {
    pub(crate) fn new(links: Links, keys: Keys, truncation: Truncation, tuning: Tuning) -> Session<L> {
        Session {
            party: Party::new(links.index()),
            truncation,
            tuning,
            links,
            keys,
            #[cfg(all(test, debug_assertions))]
            plant: crate::planted::Plant::default(),
        }
    }

    /// For whoever must abort the session, or meters it.
    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    pub(crate) fn is_first(&self) -> bool {
        self.party == Party::P0
    }

    pub(crate) fn is_dealer(&self) -> bool {
        self.party == Party::P2
    }

    /// 1 for the evaluator that adds public constants, P1, and 0 for the others.
    pub(crate) fn one(&self) -> u64 {
        u64::from(self.party == Party::P1)
    }

    /// The link to the other evaluator.
    fn peer(&self) -> &Link {
        self.links.to(if self.is_first() { 1 } else { 0 })
    }

    fn helper(&self) -> &Link {
        self.links.to(Party::P2.index())
    }

    /// A fresh stream from the key of P0 and P1. Nothing for P2.
    pub(crate) fn common(&mut self) -> Option<Stream> {
        match self.party {
            Party::P0 => Some(self.keys.with(Party::P1).stream()),
            Party::P1 => Some(self.keys.with(Party::P0).stream()),
            _ => None,
        }
    }

    /// Fresh streams from the keys with P2.
    pub(crate) fn dealt(&mut self) -> Dealt {
        let dealt = self.with_helper();
        #[cfg(all(test, debug_assertions))]
        let dealt = self.plant.dealt(&self.tuning, dealt);
        dealt
    }

    fn with_helper(&mut self) -> Dealt {
        match self.party {
            Party::P2 => {
                Dealt::Dealer([self.keys.with(Party::P0).stream(), self.keys.with(Party::P1).stream()])
            }
            _ => Dealt::Evaluator(self.keys.with(Party::P2).stream()),
        }
    }

    /// The part of a block that this evaluator is sent; the other part it draws from its key.
    pub(crate) fn sent_part(&self, len: usize) -> Range<usize> {
        if self.is_first() { cut(len)..len } else { 0..cut(len) }
    }

    /// The part of a block that this evaluator draws from its key with P2.
    pub(crate) fn drawn_part(&self, len: usize) -> Range<usize> {
        if self.is_first() { 0..cut(len) } else { cut(len)..len }
    }

    #[cfg(all(test, debug_assertions))]
    pub(crate) fn mark(&mut self) {
        self.plant.mark(self.party, &mut self.keys);
    }

    #[cfg(all(test, debug_assertions))]
    pub(crate) fn rewind(&mut self) {
        self.plant.rewind(&mut self.keys);
    }

    #[cfg(all(test, debug_assertions))]
    pub(crate) fn begin_again(&mut self) {
        self.plant.begin_again(self.party, &mut self.keys);
    }

    #[cfg(all(test, debug_assertions))]
    pub(crate) fn back_if(&mut self, refused: bool) {
        self.plant.back_if(refused, self.party, &mut self.keys);
    }

    /// Begins a question whether two parties hold the same.
    pub(crate) fn same(&mut self, roles: Roles) -> Same {
        Same::begin(self.party, &mut self.keys, roles)
    }

    /// Its answer, for whom it is.
    pub(crate) fn answered(&self, same: Same) -> Result<Option<bool>, Error> {
        alone(same.finish(&self.links))
    }

    /// A stream, cut for the blocks of a tensor, with a word for each element.
    fn for_blocks(&self, stream: Stream, len: usize) -> std::vec::IntoIter<Stream> {
        let blocks = len.div_ceil(self.tuning.block);
        stream.pieces(self.tuning.block).take(blocks).collect::<Vec<_>>().into_iter()
    }

    /// P2 shares words: additive over Z_2^L. `values` are P2's alone; the shares are the
    /// evaluators'.
    pub(crate) fn deal_words(&mut self, len: usize, values: &[u64]) -> Result<Vec<u64>, Error> {
        self.deal_in(&Ring(L), len, values)
    }

    /// The same in another group.
    pub(crate) fn deal_in<G: Group>(
        &mut self,
        group: &G,
        len: usize,
        values: &[u64],
    ) -> Result<Vec<u64>, Error> {
        match self.dealt() {
            Dealt::Dealer(keys) => {
                let [k02, k12] = keys.map(|key| self.for_blocks(key, len));
                for (block, (k02, k12)) in self.tuning.blocks(len).zip(k02.zip(k12)) {
                    let half = cut(block.len());
                    let middle = block.start + half;
                    for (to, pad, part) in [
                        (Party::P1, k02, block.start..middle),
                        (Party::P0, k12.after(half), middle..block.end),
                    ] {
                        let mut words = vec![0; part.len()];
                        for (w, v) in words.iter_mut().zip(values.get(part).unwrap_or_default()) {
                            *w = *v;
                        }
                        let (mut message, mut pads) = (Sealed::default(), vec![0; words.len()]);
                        message.push(pad.hide_less(group, &mut words, &mut pads));
                        message.send(self.links.to(to.index()))?;
                    }
                }
                Ok(Vec::new())
            }
            Dealt::Evaluator(own) => {
                let mut shares = vec![0; len];
                let own = self.for_blocks(own, len);
                for (block, own) in self.tuning.blocks(len).zip(own) {
                    let share = &mut shares[block.clone()];
                    let (drawn, sent) = (self.drawn_part(block.len()), self.sent_part(block.len()));
                    own.after(drawn.start).draw_elements(group, &mut share[drawn]);
                    if !sent.is_empty() {
                        receive_words(self.helper(), &mut share[sent])?;
                    }
                }
                Ok(shares)
            }
        }
    }

    /// P2 shares bits modulo N and sends both shares, as published, though P0 could draw its own.
    pub(crate) fn send_both_shares(&mut self, values: &[u64]) -> Result<(), Error> {
        let Dealt::Dealer([k02, _k12]) = self.dealt() else { return Ok(()) };
        let pads = self.for_blocks(planted!(self.tuning, OthersKey: _k12; k02), values.len());
        for (block, pad) in self.tuning.blocks(values.len()).zip(pads) {
            let mut other = values[block].to_vec();
            let mut own = vec![0; other.len()];
            let mut message = Sealed::default();
            message.push(pad.hide_less(&Odd::<L>, &mut other, &mut own));
            Sealed::known(&own).send(self.links.to(Party::P0.index()))?;
            message.send(self.links.to(Party::P1.index()))?;
        }
        Ok(())
    }

    /// The shares that P2 sent of it.
    pub(crate) fn receive_whole_share(&mut self, len: usize) -> Result<Vec<u64>, Error> {
        // P2 draws P0's share of this stream, and P1 nothing of its own.
        let Dealt::Evaluator(_) = self.dealt() else { return Ok(Vec::new()) };
        let mut share = vec![0; len];
        for block in self.tuning.blocks(len) {
            receive_words(self.helper(), &mut share[block])?;
        }
        Ok(share)
    }

    /// An evaluator's words, plus a pad, and the pad.
    pub(crate) fn hide<G: Group>(&self, group: &G, mut words: Vec<u64>, pad: Stream) -> (Sealed, Vec<u64>) {
        let pieces: Vec<Stream> = pad.pieces(PIECE).take(words.len().div_ceil(PIECE)).collect();
        let mut pads = vec![0; words.len()];
        let chunks = words.par_chunks_mut(PIECE).zip(pads.par_chunks_mut(PIECE)).zip(pieces);
        chunks.for_each(|((words, pads), pad)| {
            pad.hide(group, words, pads);
        });
        (Sealed(words), pads)
    }

    /// The same less a pad, which nobody needs any longer.
    pub(crate) fn hide_less<G: Group>(&self, group: &G, mut words: Vec<u64>, pad: Stream) -> Sealed {
        let pieces: Vec<Stream> = pad.pieces(PIECE).take(words.len().div_ceil(PIECE)).collect();
        words.par_chunks_mut(PIECE).zip(pieces).for_each(|(words, pad)| {
            pad.hide_less(group, words, &mut vec![0; words.len()]);
        });
        Sealed(words)
    }

    /// P0 and P1 send each other hidden words, and combine theirs with the other's. One round. Not for
    /// P2.
    pub(crate) fn exchange<G: Group>(&self, group: &G, sealed: Sealed) -> Result<Vec<u64>, Error> {
        let Sealed(mut words) = sealed;
        for block in words.chunks(self.tuning.block) {
            self.peer().send(to_bytes(block))?;
        }
        let mut theirs = vec![0; self.tuning.block.min(words.len())];
        for block in words.chunks_mut(self.tuning.block) {
            let theirs = &mut theirs[..block.len()];
            receive_words(self.peer(), theirs)?;
            block.iter_mut().zip(theirs).for_each(|(a, b)| *a = group.sum(*a, *b));
        }
        Ok(words)
    }

    /// An evaluator's words for P2.
    pub(crate) fn to_helper(&self, sealed: &Sealed) -> Result<(), Error> {
        for block in sealed.0.chunks(self.tuning.block) {
            self.helper().send(to_bytes(block))?;
        }
        Ok(())
    }

    /// Cells of a comparison, which hide by themselves what they are made of.
    pub(crate) fn send_cells(&self, to: Party, cells: Vec<u8>) -> Result<(), Error> {
        Ok(self.links.to(to.index()).send(cells)?)
    }

    /// P2's cells of so many elements.
    pub(crate) fn receive_cells(&self, len: usize) -> Result<Vec<u8>, Error> {
        if len == 0 { Ok(Vec::new()) } else { Ok(self.helper().recv(len * LANES)?) }
    }

    /// What P0 and P1 sent to P2 of a block of `len` elements, in so many bytes each.
    pub(crate) fn of_evaluators(&self, len: usize, bytes: usize) -> Result<[Vec<u8>; 2], Error> {
        Ok([self.links.to(0).recv(len * bytes)?, self.links.to(1).recv(len * bytes)?])
    }

    /// An evaluator's share, re-randomised by a share of zero from the key that P2 does not have.
    /// Nothing for P2.
    pub(crate) fn rerandomised(&mut self, x: &[u64]) -> Option<Vec<u64>> {
        planted!(self.tuning, OneShareOfZero: self.rewind());
        planted!(self.tuning, OneShareOfZero: self.mark());
        let zero = self.common()?;
        let zero = planted!(self.tuning, NoShareOfZero: crate::planted::bare(zero); zero);
        if self.is_first() {
            return Some(self.hide(&Ring(L), x.to_vec(), zero).0.0);
        }
        // The client knows the sum: this share shows nothing beside it and the other one.
        let zero = draw::<L>(zero, x.len());
        Some(x.iter().zip(&zero).map(|(x, zero)| x.wrapping_sub(*zero)).collect())
    }
}

/// Words `0..len` of a stream, of L bits.
pub(crate) fn draw<const L: u32>(stream: Stream, len: usize) -> Vec<u64> {
    draw_elements(&Ring(L), stream, len)
}

/// Words `0..len` of a stream, as elements of a group.
pub(crate) fn draw_elements<G: Group>(group: &G, stream: Stream, len: usize) -> Vec<u64> {
    let mut words = vec![0; len];
    let pieces: Vec<Stream> = stream.pieces(PIECE).take(len.div_ceil(PIECE)).collect();
    words.par_chunks_mut(PIECE).zip(pieces).for_each(|(words, piece)| piece.draw_elements(group, words));
    words
}

/// Words as bytes, lowest first.
pub(crate) fn to_bytes(words: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0; words.len() * WORD];
    for (b, w) in bytes.as_chunks_mut::<WORD>().0.iter_mut().zip(words) {
        *b = w.to_le_bytes();
    }
    bytes
}

/// Reads words; `bytes` has as many.
pub(crate) fn from_bytes(bytes: &[u8], words: &mut [u64]) {
    for (w, b) in words.iter_mut().zip(bytes.as_chunks::<WORD>().0) {
        *w = u64::from_le_bytes(*b);
    }
}

/// A message of words.
pub(crate) fn receive_words(link: &Link, words: &mut [u64]) -> Result<(), Error> {
    from_bytes(&link.recv(words.len() * WORD)?, words);
    Ok(())
}
