//! What every step of the protocol stands on: dealing by P2 and opening between P0 and P1, in
//! blocks.
//!
//! A step goes through a tensor in blocks, one message a block, so that computing, sending and
//! dealing overlap. P2 never waits for anybody: it receives no message after the keys are agreed.

use std::ops::Range;

use cryptflow_mpc::keys::{Keys, Stream};
use cryptflow_mpc::{Error, Party};
use cryptflow_ring::pack::{pack, packed_len, unpack};
use cryptflow_ring::planes::{plane_bytes, plane_words, read_plane, write_plane};
use cryptflow_wire::{Link, Links};
use rayon::prelude::*;

use crate::share::{Masked, low_bits};
use crate::tree::Tuning;

/// Elements of a block. A multiple of 512, so that halves of blocks are whole words of bit planes
/// and whole SIMD registers.
pub(crate) const BLOCK: usize = 1 << 14;
/// Blocks that are computed side by side before their messages leave.
const WINDOW: usize = 8;

/// Where a block of `len` elements is cut: P1 is sent the corrections of the first half, P0 those
/// of the second, so that both of P2's links carry the same.
pub(crate) fn cut(len: usize) -> usize {
    len.div_ceil(2).next_multiple_of(64).min(len)
}

/// The blocks of a tensor.
pub(crate) fn blocks(len: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    (0..len.div_ceil(BLOCK)).map(move |i| i * BLOCK..((i + 1) * BLOCK).min(len))
}

/// Streams drawn from the keys with P2: an evaluator has its own, P2 has both.
pub(crate) enum Pads {
    Evaluator(Stream),
    Dealer(Stream, Stream),
}

/// Bit planes, block by block: `count` planes of each block, one after another.
pub(crate) struct Planes {
    pub(crate) blocks: Vec<Vec<u64>>,
}

/// Planes that the evaluators opened: the public bits, and each evaluator's own pads (P2: the sum
/// of both evaluators').
pub(crate) struct Opened {
    pub(crate) public: Planes,
    pub(crate) hidden: Planes,
}

/// A party's side of a session.
pub(crate) struct Session {
    pub(crate) party: Party,
    pub(crate) links: Links,
    pub(crate) keys: Keys,
    pub(crate) ring_bits: u32,
    pub(crate) tuning: Tuning,
}

impl Session {
    /// True for the evaluator that adds public constants.
    pub(crate) fn is_first(&self) -> bool {
        self.party == Party::P0
    }

    pub(crate) fn is_dealer(&self) -> bool {
        self.party == Party::P2
    }

    /// The link to the other evaluator.
    fn peer(&self) -> &Link {
        self.links.to(if self.is_first() { Party::P1.index() } else { Party::P0.index() })
    }

    fn dealer(&self) -> &Link {
        self.links.to(Party::P2.index())
    }

    /// Fresh streams from the keys with P2. All parties draw in the same order.
    pub(crate) fn pads(&mut self) -> Pads {
        let mut draw = |other: Party| self.keys.with(other).stream();
        match self.party {
            Party::P2 => Pads::Dealer(draw(Party::P0), draw(Party::P1)),
            _ => Pads::Evaluator(draw(Party::P2)),
        }
    }

    /// P2 deals values that it knows, and the evaluators open what they make of their shares of
    /// them: additive shares over Z_2^bits become masked form. One message of P2's a block, and one
    /// round.
    ///
    /// `dealt` holds the widths of the values dealt for each element; `values(v, range, out)` is
    /// P2's, and writes value v of a range; `share(range, shares, out)` is an evaluator's, and
    /// writes its share of the result from its shares of the dealt values.
    ///
    /// Dealing: in the first half of a block P0's share is a pad and P1 is sent the correction, in
    /// the second the other way round. Opening: each evaluator sends its share under a pad that
    /// only it and P2 know; the sum of both messages is m.
    pub(crate) fn deal_and_open(
        &mut self,
        len: usize,
        dealt: &[u32],
        bits: u32,
        values: impl Fn(usize, Range<usize>, &mut [u64]) + Sync,
        share: impl Fn(Range<usize>, &[Vec<u64>], &mut [u64]) + Sync,
    ) -> Result<Masked, Error> {
        let deal_pads: Vec<Pads> = dealt.iter().map(|_| self.pads()).collect();
        match self.pads() {
            Pads::Dealer(k02, k12) => {
                if !dealt.is_empty() {
                    self.send_blocks(len, |block| deal_block(block, dealt, &deal_pads, &values))?;
                }
                Ok(Masked { a: draw(&k02, len, bits), b: draw(&k12, len, bits), bits })
            }
            Pads::Evaluator(own) => {
                let mask = low_bits(bits);
                let first = self.is_first();
                let (mut m, mut r) = (vec![0; len], vec![0; len]);
                let (dealer, peer) = (self.dealer(), self.peer());
                let windows = m.chunks_mut(BLOCK * WINDOW).zip(r.chunks_mut(BLOCK * WINDOW));
                for (i, (m, r)) in windows.enumerate() {
                    let corrections: Vec<Vec<u8>> = m
                        .chunks(BLOCK)
                        .map(|b| receive(dealer, correction_bytes(b.len(), dealt, first)))
                        .collect::<Result<_, _>>()?;
                    let messages: Vec<Vec<u8>> = m
                        .par_chunks_mut(BLOCK)
                        .zip(r.par_chunks_mut(BLOCK))
                        .zip(corrections)
                        .enumerate()
                        .map(|(j, ((m, r), correction))| {
                            let start = (i * WINDOW + j) * BLOCK;
                            let range = start..start + m.len();
                            let shares = dealt_shares(range.clone(), dealt, &deal_pads, &correction, first);
                            share(range, &shares, m);
                            own.words(start, r);
                            for (m, r) in m.iter_mut().zip(r.iter_mut()) {
                                *r &= mask;
                                *m = m.wrapping_add(*r);
                            }
                            let mut message = Vec::with_capacity(packed_len(m.len(), bits));
                            pack(m, bits, &mut message);
                            message
                        })
                        .collect();
                    for message in messages {
                        peer.send(message)?;
                    }
                }
                for window in m.chunks_mut(BLOCK * WINDOW) {
                    let messages: Vec<Vec<u8>> = window
                        .chunks(BLOCK)
                        .map(|block| receive(peer, packed_len(block.len(), bits)))
                        .collect::<Result<_, _>>()?;
                    window.par_chunks_mut(BLOCK).zip(messages).for_each(|(m, message)| {
                        let mut theirs = vec![0; m.len()];
                        unpack(&message, bits, &mut theirs);
                        for (m, t) in m.iter_mut().zip(&theirs) {
                            *m = m.wrapping_add(*t) & mask;
                        }
                    });
                }
                Ok(Masked { a: m, b: r, bits })
            }
        }
    }

    /// P2 shares bits that it knows: `values` writes `count` planes of a block. Returns this
    /// evaluator's shares.
    pub(crate) fn deal_planes(
        &mut self,
        len: usize,
        count: usize,
        values: impl Fn(usize, Range<usize>, &mut [u64]) + Sync,
    ) -> Result<Planes, Error> {
        let stride = plane_words(BLOCK) * count;
        match self.pads() {
            Pads::Dealer(k02, k12) => {
                self.send_blocks(len, |block| {
                    let (n, half) = (block.len(), cut(block.len()));
                    let (words, head) = (plane_words(n), plane_words(half));
                    let index = block.start / BLOCK;
                    let mut v = vec![0; words * count];
                    values(index, block, &mut v);
                    let mut pad = vec![0; words * count];
                    let (pad0, pad1) = pad.split_at_mut(head * count);
                    k02.words(index * stride, pad0);
                    k12.words(index * stride + head * count, pad1);
                    let mut messages = [Vec::new(), Vec::new()];
                    let tail = words - head;
                    for (p, plane) in v.chunks_exact_mut(words.max(1)).enumerate() {
                        let (low, high) = plane.split_at_mut(head);
                        xor(low, &pad0[p * head..(p + 1) * head]);
                        xor(high, &pad1[p * tail..(p + 1) * tail]);
                        write_plane(high, n - half, &mut messages[0]);
                        write_plane(low, half, &mut messages[1]);
                    }
                    messages
                })?;
                Ok(Planes { blocks: Vec::new() })
            }
            Pads::Evaluator(own) => {
                let first = self.is_first();
                let link = self.dealer();
                let mut all = Vec::with_capacity(len.div_ceil(BLOCK));
                let ranges: Vec<Range<usize>> = blocks(len).collect();
                for window in ranges.chunks(WINDOW) {
                    let messages: Vec<Vec<u8>> = window
                        .iter()
                        .map(|b| {
                            let half = cut(b.len());
                            receive(link, count * plane_bytes(if first { b.len() - half } else { half }))
                        })
                        .collect::<Result<_, _>>()?;
                    let planes: Vec<Vec<u64>> = window
                        .par_iter()
                        .zip(messages)
                        .map(|(block, message)| {
                            let (n, half) = (block.len(), cut(block.len()));
                            let (words, head) = (plane_words(n), plane_words(half));
                            let tail = words - head;
                            let at = (block.start / BLOCK) * stride;
                            let mut out = vec![0; words * count];
                            let own_words = if first { head } else { tail };
                            let mut pad = vec![0; own_words * count];
                            own.words(if first { at } else { at + head * count }, &mut pad);
                            let theirs = if first { n - half } else { half };
                            let bytes = plane_bytes(theirs);
                            for (p, plane) in out.chunks_exact_mut(words).enumerate() {
                                let (low, high) = plane.split_at_mut(head);
                                let (mine, dealt) = if first { (low, high) } else { (high, low) };
                                mine.copy_from_slice(&pad[p * own_words..(p + 1) * own_words]);
                                read_plane(&message[p * bytes..(p + 1) * bytes], theirs, dealt);
                            }
                            out
                        })
                        .collect();
                    all.extend(planes);
                }
                Ok(Planes { blocks: all })
            }
        }
    }

    /// The pads of `count` planes that will be opened: an evaluator's own, P2's sum of both.
    pub(crate) fn plane_pads(&mut self, len: usize, count: usize) -> Planes {
        let pads = self.pads();
        let stride = plane_words(BLOCK) * count;
        let blocks: Vec<Range<usize>> = blocks(len).collect();
        let blocks = blocks
            .into_par_iter()
            .map(|block| {
                let at = (block.start / BLOCK) * stride;
                let mut out = vec![0; plane_words(block.len()) * count];
                match &pads {
                    Pads::Evaluator(own) => own.words(at, &mut out),
                    Pads::Dealer(k02, k12) => {
                        let mut other = vec![0; out.len()];
                        k02.words(at, &mut out);
                        k12.words(at, &mut other);
                        xor(&mut out, &other);
                    }
                }
                out
            })
            .collect();
        Planes { blocks }
    }

    /// The evaluators open `count` planes under `pads`: `share` writes an evaluator's shares of a
    /// block's planes. One round. P2 has nothing to do but to know the pads.
    pub(crate) fn open_planes(
        &mut self,
        len: usize,
        count: usize,
        pads: Planes,
        share: impl Fn(usize, &mut [u64]) + Sync,
    ) -> Result<Opened, Error> {
        if self.is_dealer() {
            return Ok(Opened { public: Planes { blocks: Vec::new() }, hidden: pads });
        }
        let link = self.peer();
        let ranges: Vec<Range<usize>> = blocks(len).collect();
        let mut public: Vec<Vec<u64>> = Vec::with_capacity(ranges.len());
        for window in ranges.chunks(WINDOW) {
            let first = public.len();
            let made: Vec<(Vec<u64>, Vec<u8>)> = window
                .par_iter()
                .enumerate()
                .map(|(j, block)| {
                    let words = plane_words(block.len());
                    let mut out = vec![0; words * count];
                    share(first + j, &mut out);
                    xor(&mut out, &pads.blocks[first + j]);
                    let mut message = Vec::with_capacity(plane_bytes(block.len()) * count);
                    for plane in out.chunks_exact(words) {
                        write_plane(plane, block.len(), &mut message);
                    }
                    (out, message)
                })
                .collect();
            for (planes, message) in made {
                public.push(planes);
                link.send(message)?;
            }
        }
        let bytes: Vec<usize> = ranges.iter().map(|b| plane_bytes(b.len())).collect();
        for (i, block) in ranges.iter().enumerate() {
            let message = receive(link, bytes[i] * count)?;
            let words = plane_words(block.len());
            let mut theirs = vec![0; words];
            for (p, plane) in public[i].chunks_exact_mut(words).enumerate() {
                read_plane(&message[p * bytes[i]..(p + 1) * bytes[i]], block.len(), &mut theirs);
                xor(plane, &theirs);
            }
        }
        Ok(Opened { public: Planes { blocks: public }, hidden: pads })
    }

    /// P2 sends each evaluator its message for every block; an empty message is not sent.
    fn send_blocks(
        &self,
        len: usize,
        make: impl Fn(Range<usize>) -> [Vec<u8>; 2] + Sync,
    ) -> Result<(), Error> {
        let ranges: Vec<Range<usize>> = blocks(len).collect();
        for window in ranges.chunks(WINDOW) {
            let messages: Vec<[Vec<u8>; 2]> = window.par_iter().map(|block| make(block.clone())).collect();
            for [to0, to1] in messages {
                for (to, message) in [(Party::P0, to0), (Party::P1, to1)] {
                    if !message.is_empty() {
                        self.links.to(to.index()).send(message)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// P2's corrections of a block's dealt values, for P0 and for P1.
fn deal_block(
    block: Range<usize>,
    dealt: &[u32],
    pads: &[Pads],
    values: impl Fn(usize, Range<usize>, &mut [u64]),
) -> [Vec<u8>; 2] {
    let half = cut(block.len());
    let mut messages = [Vec::new(), Vec::new()];
    let (mut v, mut pad) = (vec![0; block.len()], vec![0; block.len()]);
    for (i, (bits, pads)) in dealt.iter().zip(pads).enumerate() {
        let Pads::Dealer(k02, k12) = pads else { continue };
        values(i, block.clone(), &mut v);
        let (pad0, pad1) = pad.split_at_mut(half);
        k02.words(block.start, pad0);
        k12.words(block.start + half, pad1);
        for (v, p) in v.iter_mut().zip(&pad) {
            *v = v.wrapping_sub(*p);
        }
        pack(&v[half..], *bits, &mut messages[0]);
        pack(&v[..half], *bits, &mut messages[1]);
    }
    messages
}

/// Bytes of the corrections that an evaluator is sent for a block of `len` elements.
fn correction_bytes(len: usize, dealt: &[u32], first: bool) -> usize {
    let corrected = if first { len - cut(len) } else { cut(len) };
    dealt.iter().map(|bits| packed_len(corrected, *bits)).sum()
}

/// An evaluator's shares of a block's dealt values: its own pads in one half, P2's corrections in
/// the other.
fn dealt_shares(
    block: Range<usize>,
    dealt: &[u32],
    pads: &[Pads],
    correction: &[u8],
    first: bool,
) -> Vec<Vec<u64>> {
    let half = cut(block.len());
    let mut rest = correction;
    let mut all = Vec::with_capacity(dealt.len());
    for (bits, pads) in dealt.iter().zip(pads) {
        let Pads::Evaluator(own) = pads else { continue };
        let mut shares = vec![0; block.len()];
        let (head, tail) = shares.split_at_mut(half);
        let (pad, at, corrected) =
            if first { (head, block.start, tail) } else { (tail, block.start + half, head) };
        own.words(at, pad);
        let mask = low_bits(*bits);
        for p in pad.iter_mut() {
            *p &= mask;
        }
        let (message, next) = rest.split_at(packed_len(corrected.len(), *bits));
        if !corrected.is_empty() {
            unpack(message, *bits, corrected);
        }
        rest = next;
        all.push(shares);
    }
    all
}

/// All of a stream's first `len` words, reduced.
fn draw(stream: &Stream, len: usize, bits: u32) -> Vec<u64> {
    let mask = low_bits(bits);
    let mut r = vec![0; len];
    r.par_chunks_mut(BLOCK).enumerate().for_each(|(i, block)| {
        stream.words(i * BLOCK, block);
        for x in block {
            *x &= mask;
        }
    });
    r
}

/// A message of known length; one of length 0 is never sent.
fn receive(link: &Link, expected: usize) -> Result<Vec<u8>, Error> {
    if expected == 0 { Ok(Vec::new()) } else { Ok(link.recv(expected)?) }
}

pub(crate) fn xor(x: &mut [u64], y: &[u64]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x ^= y;
    }
}
