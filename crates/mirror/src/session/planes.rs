//! Bit planes: dealt, and opened under pads that P2 knows.

use std::ops::Range;

use cryptflow_mpc::Error;
use cryptflow_mpc::stream::{Bits, Stream};
use cryptflow_mpc::turn::turn;
use cryptflow_ring::planes::{plane_bytes, plane_words, read_plane};
use rayon::prelude::*;

use super::{Pads, Sealed, Session, receive};
use crate::scratch::Scratch;
use crate::tuning::cut;

/// Bit planes, block by block: `count` planes of each block, one after another.
pub(crate) struct Planes {
    pub(crate) blocks: Vec<Vec<u64>>,
}

/// Pads of `count` planes that will be opened, once, and are not yet drawn: an evaluator's own, or both evaluators',
/// whose sum P2 knows.
pub(crate) struct PlanePads {
    pads: Pads,
    count: usize,
}

/// What P2 draws for each block of a tensor.
struct OfBlocks {
    keys: [std::vec::IntoIter<Stream>; 2],
    count: usize,
}

/// What P2 draws for one block.
struct OfBlock {
    keys: [Stream; 2],
    count: usize,
}

impl OfBlocks {
    fn next(&mut self) -> Option<OfBlock> {
        let [k02, k12] = &mut self.keys;
        Some(OfBlock { keys: [k02.next()?, k12.next()?], count: self.count })
    }
}

impl OfBlock {
    /// The sum of both evaluators' pads, of planes of so many words.
    fn sum_into(self, out: &mut [u64]) {
        let [k02, k12] = self.keys;
        let mut other = Scratch::of(out.len());
        k02.draw(out);
        k12.draw(&mut other);
        xor(out, &other);
    }
}

/// Planes that the evaluators opened: the public bits, and each evaluator's own pads (P2: the sum
/// of both evaluators').
pub(crate) struct Opened {
    pub(crate) public: Planes,
    pub(crate) hidden: Planes,
}

impl Session {
    /// P2 shares bits that it knows: `values(range, masks, out)` writes `count` planes of a block, where `masks` are
    /// its planes of each of `opened`, the pads under which the evaluators will open something. P2 draws these block
    /// by block, and keeps none of them. Returns this evaluator's shares, and an evaluator's pads, not yet drawn.
    ///
    /// As with values, P0's share of a block's first half is a pad, and P1's of the second.
    pub(crate) fn deal_planes(
        &mut self,
        len: usize,
        count: usize,
        opened: Vec<PlanePads>,
        values: impl Fn(Range<usize>, &[Scratch], &mut [u64]) + Sync,
    ) -> Result<(Planes, Vec<PlanePads>), Error> {
        let block = self.tuning.block;
        let stride = plane_words(block) * count;
        planted!(self.tuning, OnePadForDealtPlanes: self.repeat_next_planes(count));
        match self.dealt_pads() {
            Pads::Dealer(keys) => {
                let mut own = self.of_blocks(keys, count, len);
                let mut opened: Vec<OfBlocks> =
                    opened.into_iter().filter_map(|pads| self.of_dealer(pads, len)).collect();
                self.send_blocks(
                    len,
                    || (own.next(), opened.iter_mut().filter_map(OfBlocks::next).collect::<Vec<_>>()),
                    |range, (pads, opened)| {
                        let n = range.len();
                        let masks = opened.into_iter().map(|pads| {
                            let mut masks = Scratch::of(plane_words(n) * pads.count);
                            pads.sum_into(&mut masks);
                            masks
                        });
                        let masks: Vec<Scratch> = masks.collect();
                        let mut planes = Scratch::of(plane_words(n) * count);
                        values(range, &masks, &mut planes);
                        self.deal_block_planes(n, count, &planes, pads)
                    },
                )?;
                Ok((Planes { blocks: Vec::new() }, Vec::new()))
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
                Ok((Planes { blocks: all }, opened))
            }
        }
    }

    /// Streams of both evaluators, cut for blocks of `count` planes.
    fn of_blocks(&self, keys: [Stream; 2], count: usize, len: usize) -> OfBlocks {
        let stride = plane_words(self.tuning.block) * count;
        OfBlocks { keys: keys.map(|key| self.for_blocks(key, stride, len)), count }
    }

    /// The same of what will be opened; nothing of an evaluator's.
    fn of_dealer(&self, PlanePads { pads, count }: PlanePads, len: usize) -> Option<OfBlocks> {
        match pads {
            Pads::Dealer(keys) => Some(self.of_blocks(keys, count, len)),
            Pads::Evaluator(_) => None,
        }
    }

    /// P2's corrections of a block's planes, for P0 and for P1.
    fn deal_block_planes(
        &self,
        n: usize,
        count: usize,
        planes: &[u64],
        pads: Option<OfBlock>,
    ) -> [Sealed; 2] {
        let half = cut(n);
        let (words, head) = (plane_words(n), plane_words(half));
        let tail = words - head;
        let [mut to0, mut to1] = [n - half, half].map(|n| Sealed::new(count * plane_bytes(n)));
        let Some(OfBlock { keys: [k02, k12], .. }) = pads else { return [to0, to1] };
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
    pub(crate) fn plane_pads(&mut self, count: usize) -> PlanePads {
        planted!(self.tuning, OnePadForPlanes: self.repeat_next_planes(count));
        PlanePads { pads: self.opened_pads(), count }
    }

    /// Of each block, the sum of both evaluators' pads.
    fn summed(&self, mut pads: OfBlocks, len: usize) -> Planes {
        let blocks: Vec<_> = self.tuning.blocks(len).zip(std::iter::from_fn(|| pads.next())).collect();
        let blocks = blocks.into_par_iter().map(|(block, pads)| {
            let mut out = vec![0; plane_words(block.len()) * pads.count];
            pads.sum_into(&mut out);
            out
        });
        Planes { blocks: blocks.collect() }
    }

    /// The evaluators open planes under `pads`: `share` writes an evaluator's shares of a
    /// block's planes. One round, before the end of which all parties give way. P2 has nothing to do but to know the pads.
    pub(crate) async fn open_planes(
        &mut self,
        len: usize,
        PlanePads { pads, count }: PlanePads,
        share: impl Fn(usize, &mut [u64]) + Sync,
    ) -> Result<Opened, Error> {
        let own = match pads {
            Pads::Dealer(keys) => {
                if len * count > 0 {
                    turn().await;
                }
                let hidden = self.summed(self.of_blocks(keys, count, len), len);
                return Ok(Opened { public: Planes { blocks: Vec::new() }, hidden });
            }
            Pads::Evaluator(own) => own,
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
        if len * count > 0 {
            turn().await;
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
