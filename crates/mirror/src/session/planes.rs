//! Bit planes: dealt, and opened under pads that P2 knows.

use std::ops::Range;

use cryptflow_mpc::Error;
use cryptflow_mpc::stream::{Bits, Stream};
use cryptflow_ring::planes::{plane_bytes, plane_words, read_plane};
use rayon::prelude::*;

use super::{Pads, Sealed, Session, receive};
use crate::scratch::Scratch;
use crate::tuning::cut;

/// Bit planes, block by block: `count` planes of each block, one after another.
pub(crate) struct Planes {
    pub(crate) blocks: Vec<Vec<u64>>,
}

/// Pads of planes that will be opened, once: an evaluator's own, not yet drawn, or for P2 the sum of
/// both evaluators'.
pub(crate) enum PlanePads {
    Evaluator(Stream),
    Dealer(Planes),
}

impl PlanePads {
    /// A block's pads, which are P2's to know.
    pub(crate) fn known(&self, block: usize) -> &[u64] {
        match self {
            PlanePads::Dealer(pads) => pads.blocks.get(block).map_or(&[], Vec::as_slice),
            PlanePads::Evaluator(_) => &[],
        }
    }
}

/// Planes that the evaluators opened: the public bits, and each evaluator's own pads (P2: the sum
/// of both evaluators').
pub(crate) struct Opened {
    pub(crate) public: Planes,
    pub(crate) hidden: Planes,
}

impl Session {
    /// P2 shares bits that it knows: `values` writes `count` planes of a block. Returns this
    /// evaluator's shares.
    ///
    /// As with values, P0's share of a block's first half is a pad, and P1's of the second.
    pub(crate) fn deal_planes(
        &mut self,
        len: usize,
        count: usize,
        values: impl Fn(usize, Range<usize>, &mut [u64]) + Sync,
    ) -> Result<Planes, Error> {
        let block = self.tuning.block;
        let stride = plane_words(block) * count;
        planted!(self.tuning, OnePadForDealtPlanes: self.repeat_next_planes(count));
        match self.dealt_pads() {
            Pads::Dealer(keys) => {
                let [mut k02, mut k12] = keys.map(|key| self.for_blocks(key, stride, len));
                self.send_blocks(
                    len,
                    || k02.next().zip(k12.next()),
                    |range, pads| {
                        let n = range.len();
                        let mut planes = Scratch::of(plane_words(n) * count);
                        values(range.start / block, range, &mut planes);
                        self.deal_block_planes(n, count, &planes, pads)
                    },
                )?;
                Ok(Planes { blocks: Vec::new() })
            }
            Pads::Evaluator(own) => {
                let (first, link) = (self.is_first(), self.dealer());
                let mut all = Vec::with_capacity(len.div_ceil(block));
                let mut pads = self.for_blocks(own, stride, len);
                let ranges: Vec<Range<usize>> = self.tuning.blocks(len).collect();
                for window in ranges.chunks(self.tuning.window) {
                    let mut blocks: Vec<(usize, Vec<u8>, Stream)> = Vec::new();
                    for (n, pad) in window.iter().map(Range::len).zip(pads.by_ref()) {
                        let dealt = if first { n - cut(n) } else { cut(n) };
                        planted!(self.tuning, DealtToBoth: self.overhear(count * plane_bytes(n - dealt))?);
                        blocks.push((n, receive(link, count * plane_bytes(dealt))?, pad));
                    }
                    let planes: Vec<Vec<u64>> = blocks
                        .into_par_iter()
                        .map(|(n, message, pad)| self.dealt_block_planes(n, count, &message, pad))
                        .collect();
                    all.extend(planes);
                }
                Ok(Planes { blocks: all })
            }
        }
    }

    /// P2's corrections of a block's planes, for P0 and for P1.
    fn deal_block_planes(
        &self,
        n: usize,
        count: usize,
        planes: &[u64],
        pads: Option<(Stream, Stream)>,
    ) -> [Sealed; 2] {
        let half = cut(n);
        let (words, head) = (plane_words(n), plane_words(half));
        let tail = words - head;
        let [mut to0, mut to1] = [n - half, half].map(|n| Sealed::new(count * plane_bytes(n)));
        let Some((k02, k12)) = pads else { return [to0, to1] };
        let (mut low, mut high) = (Scratch::of(head * count), Scratch::of(tail * count));
        for (p, plane) in planes.chunks_exact(words.max(1)).enumerate() {
            let (first, second) = plane.split_at(head);
            low[p * head..(p + 1) * head].copy_from_slice(first);
            high[p * tail..(p + 1) * tail].copy_from_slice(second);
        }
        let mut drawn = Scratch::of(words * count);
        let (pad0, pad1) = drawn.split_at_mut(head * count);
        to0.planes(k12.after(head * count).hide_less(&Bits, &mut high, pad1), tail, n - half);
        to1.planes(k02.hide_less(&Bits, &mut low, pad0), head, half);
        [to0, to1]
    }

    /// An evaluator's shares of a block's planes.
    fn dealt_block_planes(&self, n: usize, count: usize, message: &[u8], own: Stream) -> Vec<u64> {
        let (half, first) = (cut(n), self.is_first());
        let (words, head) = (plane_words(n), plane_words(half));
        let tail = words - head;
        let mut out = vec![0; words * count];
        let (own, own_words, theirs) =
            if first { (own, head, n - half) } else { (own.after(head * count), tail, half) };
        let mut pad = Scratch::of(own_words * count);
        own.draw(&mut pad);
        let bytes = plane_bytes(theirs);
        for (p, plane) in out.chunks_exact_mut(words.max(1)).enumerate() {
            let (low, high) = plane.split_at_mut(head);
            let (mine, dealt) = if first { (low, high) } else { (high, low) };
            mine.copy_from_slice(&pad[p * own_words..(p + 1) * own_words]);
            read_plane(&message[p * bytes..(p + 1) * bytes], theirs, dealt);
        }
        out
    }

    /// The pads of `count` planes that will be opened.
    pub(crate) fn plane_pads(&mut self, len: usize, count: usize) -> PlanePads {
        let stride = plane_words(self.tuning.block) * count;
        planted!(self.tuning, OnePadForPlanes: self.repeat_next_planes(count));
        match self.opened_pads() {
            Pads::Evaluator(own) => PlanePads::Evaluator(own),
            Pads::Dealer([k02, k12]) => {
                let keys = self.for_blocks(k02, stride, len).zip(self.for_blocks(k12, stride, len));
                let blocks: Vec<_> = self.tuning.blocks(len).zip(keys).collect();
                let blocks = blocks
                    .into_par_iter()
                    .map(|(block, (k02, k12))| {
                        let words = plane_words(block.len());
                        let (mut out, mut other) = (vec![0; words * count], Scratch::of(words * count));
                        k02.draw(&mut out);
                        k12.draw(&mut other);
                        xor(&mut out, &other);
                        out
                    })
                    .collect();
                PlanePads::Dealer(Planes { blocks })
            }
        }
    }

    /// The evaluators open `count` planes under `pads`: `share` writes an evaluator's shares of a
    /// block's planes. One round. P2 has nothing to do but to know the pads.
    pub(crate) fn open_planes(
        &mut self,
        len: usize,
        count: usize,
        pads: PlanePads,
        share: impl Fn(usize, &mut [u64]) + Sync,
    ) -> Result<Opened, Error> {
        let own = match pads {
            PlanePads::Dealer(hidden) => {
                return Ok(Opened { public: Planes { blocks: Vec::new() }, hidden });
            }
            PlanePads::Evaluator(own) => own,
        };
        let (link, block) = (self.peer(), self.tuning.block);
        let ranges: Vec<Range<usize>> = self.tuning.blocks(len).collect();
        let mut pads = self.for_blocks(own, plane_words(block) * count, len);
        let (mut public, mut hidden) = (Vec::with_capacity(ranges.len()), Vec::with_capacity(ranges.len()));
        for window in ranges.chunks(self.tuning.window) {
            let blocks: Vec<(Range<usize>, Stream)> = window.iter().cloned().zip(pads.by_ref()).collect();
            let made: Vec<(Vec<u64>, Vec<u64>, Sealed)> = blocks
                .into_par_iter()
                .map(|(range, pad)| {
                    let (n, words) = (range.len(), plane_words(range.len()));
                    let (mut out, mut drawn) = (vec![0; words * count], vec![0; words * count]);
                    share(range.start / block, &mut out);
                    let mut message = Sealed::new(plane_bytes(n) * count);
                    message.planes(pad.hide(&Bits, &mut out, &mut drawn), words, n);
                    (out, drawn, message)
                })
                .collect();
            for (planes, drawn, message) in made {
                public.push(planes);
                hidden.push(drawn);
                message.send(link)?;
            }
        }
        for (block, public) in ranges.iter().zip(&mut public) {
            let bytes = plane_bytes(block.len());
            let message = receive(link, bytes * count)?;
            let words = plane_words(block.len());
            let mut theirs = vec![0; words];
            for (p, plane) in public.chunks_exact_mut(words.max(1)).enumerate() {
                read_plane(&message[p * bytes..(p + 1) * bytes], block.len(), &mut theirs);
                xor(plane, &theirs);
            }
        }
        Ok(Opened { public: Planes { blocks: public }, hidden: Planes { blocks: hidden } })
    }
}

fn xor(x: &mut [u64], y: &[u64]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x ^= y;
    }
}
