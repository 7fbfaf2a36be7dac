//! Values: dealt, and opened in masked form.

use std::ops::Range;

use cryptflow_mpc::Error;
use cryptflow_mpc::stream::{Ring, Stream};
use cryptflow_mpc::turn::turn;
use cryptflow_ring::pack::{packed_len, unpack};
use rayon::prelude::*;

use super::{Pads, Sealed, Session, receive};
use crate::scratch::Scratch;
use crate::share::{Masked, low_bits};
use crate::tuning::cut;

impl Session {
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
    /// only it and P2 know; the sum of both messages is m. All parties give way once, before the other
    /// evaluator's message is waited for.
    pub(crate) async fn deal_and_open(
        &mut self,
        len: usize,
        dealt: &[u32],
        bits: u32,
        values: impl Fn(usize, Range<usize>, &mut [u64]) + Sync,
        share: impl Fn(Range<usize>, &[Scratch], &mut [u64]) + Sync,
    ) -> Result<Masked, Error> {
        let (deal_pads, pads) = self.pads_of_values(dealt.len());
        match pads {
            Pads::Dealer(keys) => {
                self.deal(len, dealt, deal_pads, values)?;
                self.masks(keys, len, bits).await
            }
            Pads::Evaluator(own) => self.open(vec![0; len], dealt, bits, deal_pads, own, share).await,
        }
    }

    /// The same where P2 deals its z, and the evaluators open the sum of theirs and of their share of P2's: in the
    /// memory of z.
    pub(crate) async fn deal_and_open_sum(&mut self, z: Vec<u64>, bits: u32) -> Result<Masked, Error> {
        let len = z.len();
        let (deal_pads, pads) = self.pads_of_values(1);
        match pads {
            Pads::Dealer(keys) => {
                self.deal(len, &[bits], deal_pads, |_, range, out| out.copy_from_slice(&z[range]))?;
                drop(z);
                self.masks(keys, len, bits).await
            }
            Pads::Evaluator(own) => {
                let sum = |_, addends: &[Scratch], z: &mut [u64]| {
                    for addends in addends {
                        z.iter_mut().zip(addends).for_each(|(z, a)| *z = z.wrapping_add(*a));
                    }
                };
                self.open(z, &[bits], bits, deal_pads, own, sum).await
            }
        }
    }

    /// The pads of so many dealt values, and those of an opening.
    fn pads_of_values(&mut self, dealt: usize) -> (Vec<Pads>, Pads) {
        let deal_pads: Vec<Pads> = (0..dealt).map(|_| self.dealt_pads()).collect();
        let pads = self.opened_pads();
        let deal_pads = planted!(self.tuning, OnePadForDealt: super::planted::first(deal_pads); deal_pads);
        let pads = planted!(self.tuning, OpenedUnderDealtPad: super::planted::of(&deal_pads, pads); pads);
        (deal_pads, pads)
    }

    /// P2's view of what is opened under pads of these keys.
    async fn masks(&self, [k02, k12]: [Stream; 2], len: usize, bits: u32) -> Result<Masked, Error> {
        planted!(self.tuning, OpenedToHelper: self.hear(len, bits)?);
        if len > 0 {
            turn().await;
        }
        Ok(Masked { a: self.mask(k02, len, bits), b: self.mask(k12, len, bits), bits })
    }

    /// P2's part.
    fn deal(
        &self,
        len: usize,
        dealt: &[u32],
        pads: Vec<Pads>,
        values: impl Fn(usize, Range<usize>, &mut [u64]) + Sync,
    ) -> Result<(), Error> {
        if dealt.is_empty() {
            return Ok(());
        }
        let block = self.tuning.block;
        let mut streams = Vec::with_capacity(pads.len());
        for pads in pads {
            if let Pads::Dealer(keys) = pads {
                streams.push(keys.map(|key| self.for_blocks(key, block, len)));
            }
        }
        let of_block = || -> Vec<[Stream; 2]> {
            streams.iter_mut().filter_map(|[k02, k12]| Some([k02.next()?, k12.next()?])).collect()
        };
        self.send_blocks(len, of_block, |block, pads| self.deal_block(block, dealt, pads, &values))
    }

    /// P2's corrections of a block's dealt values, for P0 and for P1.
    fn deal_block(
        &self,
        block: Range<usize>,
        dealt: &[u32],
        pads: Vec<[Stream; 2]>,
        values: impl Fn(usize, Range<usize>, &mut [u64]),
    ) -> [Sealed; 2] {
        let half = cut(block.len());
        let bytes = |n: usize| dealt.iter().map(|&bits| packed_len(n, bits)).sum();
        let [mut to0, mut to1] = [block.len() - half, half].map(|n| Sealed::new(bytes(n)));
        let (mut v, mut pad) = (Scratch::of(block.len()), Scratch::of(block.len()));
        for (i, (&bits, [k02, k12])) in dealt.iter().zip(pads).enumerate() {
            values(i, block.clone(), &mut v);
            let (low, high) = v.split_at_mut(half);
            let (pad0, pad1) = pad.split_at_mut(half);
            to0.pack(k12.after(half).hide_less(&Ring(bits), high, pad1), bits);
            to1.pack(k02.hide_less(&Ring(bits), low, pad0), bits);
        }
        [to0, to1]
    }

    /// An evaluator's part. `m` is where the result goes, and what `share` finds there.
    async fn open(
        &self,
        mut m: Vec<u64>,
        dealt: &[u32],
        bits: u32,
        deal_pads: Vec<Pads>,
        own: Stream,
        share: impl Fn(Range<usize>, &[Scratch], &mut [u64]) + Sync,
    ) -> Result<Masked, Error> {
        let (len, block, first, mask) = (m.len(), self.tuning.block, self.is_first(), low_bits(bits));
        let window = block * self.tuning.window;
        let (dealer, peer) = (self.dealer(), self.peer());
        let mut dealt_pads = Vec::with_capacity(deal_pads.len());
        for pads in deal_pads {
            if let Pads::Evaluator(own) = pads {
                dealt_pads.push(self.for_blocks(own, block, len));
            }
        }
        let mut pads = self.for_blocks(own, block, len);
        let mut ranges = self.tuning.blocks(len);
        let mut r = vec![0; len];
        for (m, r) in m.chunks_mut(window).zip(r.chunks_mut(window)) {
            // (the block, P2's message, the pads of what it dealt, the pad of the opening)
            let mut blocks: Vec<(Range<usize>, Vec<u8>, Vec<Stream>, Stream)> = Vec::new();
            for (range, pad) in ranges.by_ref().zip(pads.by_ref()).take(self.tuning.window) {
                planted!(self.tuning, DealtToBoth: self.overhear_values(range.len(), dealt)?);
                let correction = receive(dealer, correction_bytes(range.len(), dealt, first))?;
                let of_dealt = dealt_pads.iter_mut().filter_map(Iterator::next).collect();
                blocks.push((range, correction, of_dealt, pad));
            }
            let messages: Vec<Sealed> = m
                .par_chunks_mut(block)
                .zip(r.par_chunks_mut(block))
                .zip(blocks)
                .map(|((m, r), (range, correction, dealt_pads, pad))| {
                    let shares = self.dealt_shares(range.len(), dealt, dealt_pads, &correction);
                    share(range, &shares, m);
                    let mut message = Sealed::new(packed_len(m.len(), bits));
                    message.pack(pad.hide(&Ring(bits), m, r), bits);
                    planted!(self.tuning, MaskSentAlong: message.send_along(r, bits));
                    message
                })
                .collect();
            for message in messages {
                planted!(self.tuning, OpenedToHelper: self.open_to_helper(&message)?);
                message.send(peer)?;
            }
        }
        if len > 0 {
            turn().await;
        }
        for m in m.chunks_mut(window) {
            let messages: Vec<Vec<u8>> = m
                .chunks(block)
                .map(|block| {
                    let due = packed_len(block.len(), bits);
                    receive(peer, planted!(self.tuning, MaskSentAlong: 2 * due; due))
                })
                .collect::<Result<_, _>>()?;
            m.par_chunks_mut(block).zip(messages).for_each(|(m, message)| {
                let mut theirs = Scratch::of(m.len());
                unpack(
                    planted!(self.tuning, MaskSentAlong: &message[..message.len() / 2]; &message),
                    bits,
                    &mut theirs,
                );
                for (m, t) in m.iter_mut().zip(&theirs) {
                    *m = m.wrapping_add(*t) & mask;
                }
            });
        }
        Ok(Masked { a: m, b: r, bits })
    }

    /// An evaluator's shares of a block's dealt values: its own pads in one half, P2's corrections in
    /// the other.
    fn dealt_shares(&self, len: usize, dealt: &[u32], pads: Vec<Stream>, correction: &[u8]) -> Vec<Scratch> {
        let (half, first) = (cut(len), self.is_first());
        let mut rest = correction;
        let mut all = Vec::with_capacity(dealt.len());
        for (&bits, own) in dealt.iter().zip(pads) {
            let mut shares = Scratch::of(len);
            let (head, tail) = shares.split_at_mut(half);
            let (own, drawn, corrected) =
                if first { (own, head, tail) } else { (own.after(half), tail, head) };
            own.draw_elements(&Ring(bits), drawn);
            let (message, next) = rest.split_at(packed_len(corrected.len(), bits));
            if !corrected.is_empty() {
                unpack(message, bits, corrected);
            }
            rest = next;
            all.push(shares);
        }
        all
    }
}

/// Bytes of the corrections that an evaluator is sent for a block of `len` elements.
pub(super) fn correction_bytes(len: usize, dealt: &[u32], first: bool) -> usize {
    let corrected = if first { len - cut(len) } else { cut(len) };
    dealt.iter().map(|bits| packed_len(corrected, *bits)).sum()
}
