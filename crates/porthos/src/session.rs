//! What every step stands on: streams from the keys, messages of words, and dealing with half of it
//! saved.

use std::ops::Range;

use cryptflow_mpc::keys::{Keys, Stream};
use cryptflow_mpc::{Error, Party};
use cryptflow_ring::small_field::LANES;
use cryptflow_wire::{Link, Links};
use rayon::prelude::*;

use crate::odd;
use crate::truncation::Truncation;

/// Elements of a block: one message each. A multiple of 2 · [`LANES`].
pub(crate) const BLOCK: usize = 1 << 14;
/// Elements that go through the steps of a comparison side by side. What P2 and an evaluator have
/// under way to each other then fits their link's queues, and nobody waits in a circle.
pub(crate) const WAVE: usize = 1 << 20;
/// Bytes of a word.
pub(crate) const WORD: usize = 8;
/// Elements that one thread works on at a time.
pub(crate) const PIECE: usize = 1 << 10;

/// Where a block of `len` elements is cut: P1 is sent P2's part of the first elements, P0 that of
/// the rest.
pub(crate) fn cut(len: usize) -> usize {
    len.div_ceil(2).next_multiple_of(LANES).min(len)
}

/// The blocks of a tensor.
pub(crate) fn blocks(len: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    (0..len.div_ceil(BLOCK)).map(move |i| i * BLOCK..((i + 1) * BLOCK).min(len))
}

/// Streams that P2 shares with the evaluators: an evaluator has its own, P2 both.
pub(crate) enum Dealt {
    /// P0's or P1's.
    Evaluator(Stream),
    /// P2's with P0 and with P1.
    Dealer([Stream; 2]),
}

/// Bits of a word. Shares are modulo 2^64 in every session; tests enumerate what a party sees over
/// smaller words.
pub(crate) const WORD_BITS: u32 = 64;

/// A party's side of a session over words of L bits.
pub(crate) struct Session<const L: u32 = WORD_BITS> {
    pub(crate) party: Party,
    pub(crate) links: Links,
    pub(crate) keys: Keys,
    pub(crate) truncation: Truncation,
}

impl<const L: u32> Session<L> {
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
    pub(crate) fn peer(&self) -> &Link {
        self.links.to(if self.is_first() { 1 } else { 0 })
    }

    pub(crate) fn helper(&self) -> &Link {
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

    /// P2 shares words: additive over Z_2^L. `values` are P2's alone; the shares are the
    /// evaluators'.
    pub(crate) fn deal_words(&mut self, len: usize, values: &[u64]) -> Result<Vec<u64>, Error> {
        self.deal_with(len, values, odd::sub_words::<L>, |pad| pad)
    }

    /// The same with another subtraction, and elements made of words as `element` says.
    pub(crate) fn deal_with(
        &mut self,
        len: usize,
        values: &[u64],
        subtract: fn(u64, u64) -> u64,
        element: fn(u64) -> u64,
    ) -> Result<Vec<u64>, Error> {
        match self.dealt() {
            Dealt::Dealer([k02, k12]) => {
                for block in blocks(len) {
                    let half = block.start + cut(block.len());
                    for (to, key, part) in
                        [(Party::P1, &k02, block.start..half), (Party::P0, &k12, half..block.end)]
                    {
                        if part.is_empty() {
                            continue;
                        }
                        let mut words = vec![0; part.len()];
                        key.words(part.start, &mut words);
                        reduce::<L>(&mut words);
                        for (w, &v) in words.iter_mut().zip(values.get(part).unwrap_or_default()) {
                            *w = subtract(v, element(*w));
                        }
                        self.links.to(to.index()).send(to_bytes(&words))?;
                    }
                }
                Ok(Vec::new())
            }
            Dealt::Evaluator(own) => {
                let mut shares = vec![0; len];
                for block in blocks(len) {
                    let share = &mut shares[block.clone()];
                    let drawn = self.drawn_part(block.len());
                    own.words(block.start + drawn.start, &mut share[drawn.clone()]);
                    reduce::<L>(&mut share[drawn.clone()]);
                    share[drawn].iter_mut().for_each(|w| *w = element(*w));
                    let sent = self.sent_part(block.len());
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
        let Dealt::Dealer([k02, _]) = self.dealt() else { return Ok(()) };
        let own: Vec<u64> = draw::<L>(&k02, values.len()).into_iter().map(odd::element::<L>).collect();
        for block in blocks(values.len()) {
            let pairs = values[block.clone()].iter().zip(&own[block.clone()]);
            let other: Vec<u64> = pairs.map(|(v, s)| odd::sub::<L>(*v, *s)).collect();
            self.links.to(0).send(to_bytes(&own[block]))?;
            self.links.to(1).send(to_bytes(&other))?;
        }
        Ok(())
    }

    /// P0 and P1 send each other words, and combine theirs with the other's. One round. Not for P2.
    pub(crate) fn exchange(&self, words: &mut [u64], combine: fn(u64, u64) -> u64) -> Result<(), Error> {
        for block in words.chunks(BLOCK) {
            self.peer().send(to_bytes(block))?;
        }
        let mut theirs = vec![0; BLOCK.min(words.len())];
        for block in words.chunks_mut(BLOCK) {
            let theirs = &mut theirs[..block.len()];
            receive_words(self.peer(), theirs)?;
            block.iter_mut().zip(theirs).for_each(|(a, b)| *a = combine(*a, *b));
        }
        Ok(())
    }
}

/// Cuts words down to L bits.
fn reduce<const L: u32>(words: &mut [u64]) {
    if L < u64::BITS {
        words.iter_mut().for_each(|w| *w &= odd::mask(L));
    }
}

/// Words `0..len` of a stream.
pub(crate) fn draw<const L: u32>(stream: &Stream, len: usize) -> Vec<u64> {
    let mut words = vec![0; len];
    words.par_chunks_mut(PIECE).enumerate().for_each(|(i, piece)| {
        stream.words(i * PIECE, piece);
        reduce::<L>(piece);
    });
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
