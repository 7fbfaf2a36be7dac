//! The comparison [m < r] of a public m with a dealer-known r, and from it the sign of a masked
//! value; or of its differences from several public thresholds, which have the same r, and share
//! what P2 deals of its bits.

use std::ops::Range;

use cryptflow_mpc::turn::turn;
use cryptflow_mpc::{Cost, Error};
use cryptflow_operation::Looks;
use cryptflow_ring::planes::{expand_masks, plane_bytes, plane_words, to_planes, write_plane};

use crate::circuit::{Circuit, Gate, xor_assign};
use crate::scratch::Scratch;
use crate::session::{Opened, Planes, Session};
use crate::share::Masked;
use crate::tree::Tree;
use crate::tuning::Tuning;
use crate::{Mirror, MirrorCosts};

/// The bits x >= t of each element, for each of some thresholds, under masks: bit = β ⊕ ρ. The
/// evaluators hold β, P2 holds ρ; in each block one plane a threshold.
pub(crate) struct Sign {
    planes: Planes,
    thresholds: usize,
    len: usize,
    tuning: Tuning,
}

impl Sign {
    /// For each element of a range 0 or `u64::MAX`, as this party's bit for a threshold is 0 or 1.
    pub(crate) fn masks(&self, threshold: usize, range: Range<usize>, out: &mut [u64]) {
        let of_block = plane_words(self.tuning.block);
        let word = |index: usize| {
            let (block, at) = (self.planes.blocks.get(index / of_block)?, index % of_block);
            let words = block.len() / self.thresholds.max(1);
            if at < words { block.get(threshold * words + at).copied() } else { None }
        };
        let word = |index: usize| word(index).unwrap_or(0);
        for (start, out) in range.step_by(64).zip(out.chunks_mut(64)) {
            let (at, shift) = (start / 64, start % 64);
            let bits = if shift == 0 { word(at) } else { word(at) >> shift | word(at + 1) << (64 - shift) };
            expand_masks(&[bits], out);
        }
    }

    /// This party's bits for a threshold, or their complements, as bytes.
    pub(crate) fn written(&self, threshold: usize, complement: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(plane_bytes(self.len));
        for (block, range) in self.planes.blocks.iter().zip(self.tuning.blocks(self.len)) {
            let words = plane_words(range.len());
            let plane = block.get(threshold * words..(threshold + 1) * words).unwrap_or_default();
            let flipped: Vec<u64> = plane.iter().map(|word| if complement { !word } else { *word }).collect();
            if flipped.len() == words {
                write_plane(&flipped, range.len(), &mut out);
            }
        }
        out
    }
}

impl Mirror {
    /// [x >= t] under masks for each public threshold, from the bits of x − t that the comparison looks at, c low ones without the
    /// lowest s: exact where −2^(c−1) <= x − t < 2^(c−1), but for −2^s < x − t < 0, where it may be one as well (the carry out of the
    /// skipped bits of x − t and of r, floor((x − t + r) / 2^s) − floor(r / 2^s), is part of what is compared). One round for each
    /// level of the comparison's tree, and one more to open β.
    pub(crate) async fn sign(&mut self, x: &Masked, thresholds: &[u64], looks: Looks) -> Result<Sign, Error> {
        let Some(compared) = looks.compared().filter(|_| looks.bits <= x.bits) else {
            let Looks { bits, skipped } = looks;
            let reason = format!(
                "{bits} bits are to be compared, without the lowest {skipped}, of a value of {} bits",
                x.bits
            );
            return Err(Error::Range { operation: "comparison", reason });
        };
        let circuit = self.session.circuit(compared, x.len(), thresholds.len());
        less_than_and_sign(&mut self.session, x, thresholds, &circuit, looks.skipped).await
    }
}

/// What the evaluators keep of a block between rounds, one threshold after another.
struct Block {
    m: Vec<u64>,
    state: Vec<u64>,
    words: usize,
}

pub(crate) async fn less_than_and_sign(
    session: &mut Session,
    x: &Masked,
    thresholds: &[u64],
    circuit: &Circuit,
    skipped: u32,
) -> Result<Sign, Error> {
    let (len, first) = (x.len(), session.is_first());
    // Bits of m or r: the compared ones and, above them, the sign.
    let planes = circuit.bits as usize + 1;
    let copies = circuit.copies;
    let mut pads = Vec::with_capacity(circuit.levels.len());
    for level in &circuit.levels {
        planted!(session.tuning, BareNodes: session.bare_next(true));
        pads.push(session.plane_pads(copies * Circuit::opened(level)));
    }
    planted!(session.tuning, BareSign: session.bare_next(true));
    planted!(session.tuning, BareInputCheck: session.bare_next(session.bare_signs));
    planted!(session.tuning, OnePadForThresholds: session.repeat_next_planes(copies));
    let sign_pads = session.plane_pads(copies);

    // P2 deals the monomials of r's bits and the products of the masks of what will be opened. The sign of r is a part of
    // the mask ρ of what is found; parties of older releases have it dealt.
    let masks_signs = session.tuning.masks_signs;
    let dealing = session.deal_planes(len, circuit.planes(masks_signs), pads, |block, masks, out| {
        let words = plane_words(block.len());
        let (mut sum, mut r) = (Scratch::of(block.len()), Scratch::of(words * planes));
        for ((sum, a), b) in sum.iter_mut().zip(&x.a[block.clone()]).zip(&x.b[block]) {
            *sum = a.wrapping_add(*b);
        }
        to_planes(&sum, skipped, planes as u32, &mut r);
        let bit = |j: usize| &r[j * words..(j + 1) * words];
        for leaf in &circuit.leaves {
            let at = leaf.first * words..(leaf.first + (1 << leaf.bits) - 1) * words;
            leaf.monomials(|j| bit(leaf.low as usize + j), &mut out[at], words);
        }
        for (level, masks) in circuit.levels.iter().zip(masks) {
            let opened = Circuit::opened(level);
            for (copy, node) in (0..copies).flat_map(|copy| level.iter().map(move |node| (copy, node))) {
                let first = copy * circuit.each + node.first;
                let mask = |p: usize| {
                    let at = (copy * opened + node.first_opened + p) * words;
                    &masks[at..at + words]
                };
                node.products(mask, &mut out[first * words..(first + node.monomials.len()) * words], words);
            }
        }
        if !masks_signs {
            out[circuit.dealt() * words..].copy_from_slice(bit(circuit.bits as usize));
        }
    });
    // P2 has nothing to do in the rounds that follow but to know the last pads.
    let (dealt, pads) = dealing?;

    // It gives way as often as the evaluators, which go on in the same order as it does.
    if session.is_dealer() {
        for _ in circuit.levels.iter().filter(|level| len * copies * Circuit::opened(level) > 0) {
            turn().await;
        }
    }

    // The evaluators' leaves need no message.
    let mut blocks: Vec<Block> = Vec::new();
    if !session.is_dealer() {
        blocks = evaluate_leaves(x, thresholds, circuit, skipped, &dealt, session);
    }
    for (level, pads) in circuit.levels.iter().zip(pads) {
        let count = Circuit::opened(level);
        let opened = session
            .open_planes(len, pads, |index, out| {
                let Block { state, words, .. } = &blocks[index];
                let words = *words;
                let each = out.chunks_exact_mut(count * words).zip(state.chunks_exact(circuit.slots * words));
                for (out, state) in each {
                    for node in level {
                        for (p, slot) in node.opened.iter().enumerate() {
                            let at = (node.first_opened + p) * words;
                            out[at..at + words].copy_from_slice(&state[slot * words..(slot + 1) * words]);
                        }
                    }
                }
            })
            .await?;
        evaluate_level(level, circuit, &mut blocks, &opened, &dealt, first);
    }

    // β = 1 ⊕ less ⊕ msb(m), opened under the last pads; ρ is these and msb(r), or msb(r) is in β where it was dealt.
    let mut opened = session
        .open_planes(len, sign_pads, |index, out| {
            let Block { m, state, words } = &blocks[index];
            let words = *words;
            let sign_of_r = &dealt.blocks[index][circuit.dealt() * words..];
            let sign_of_r = |i: usize| sign_of_r.get(i).copied().unwrap_or(0);
            let each = state.chunks_exact(circuit.slots * words).zip(m.chunks_exact(planes * words));
            for (out, (state, m)) in out.chunks_exact_mut(words).zip(each) {
                let less = &state[circuit.root * words..(circuit.root + 1) * words];
                let sign_of_m = &m[circuit.bits as usize * words..];
                for (i, out) in out.iter_mut().enumerate() {
                    *out = less[i] ^ sign_of_r(i) ^ if first { !sign_of_m[i] } else { 0 };
                }
            }
        })
        .await?;
    if masks_signs && session.is_dealer() {
        for (hidden, block) in opened.hidden.blocks.iter_mut().zip(session.tuning.blocks(len)) {
            let words = plane_words(block.len());
            let (mut sum, mut sign) = (Scratch::of(block.len()), Scratch::of(words));
            for ((sum, a), b) in sum.iter_mut().zip(&x.a[block.clone()]).zip(&x.b[block]) {
                *sum = a.wrapping_add(*b);
            }
            to_planes(&sum, skipped + circuit.bits, 1, &mut sign);
            hidden.chunks_exact_mut(words).for_each(|hidden| xor_assign(hidden, &sign));
        }
    }
    let planes = if session.is_dealer() { opened.hidden } else { opened.public };
    Ok(Sign { planes, thresholds: copies, len, tuning: session.tuning })
}

fn evaluate_leaves(
    x: &Masked,
    thresholds: &[u64],
    circuit: &Circuit,
    skipped: u32,
    dealt: &Planes,
    session: &Session,
) -> Vec<Block> {
    use rayon::prelude::*;
    let (planes, first) = (circuit.bits as usize + 1, session.is_first());
    x.a.par_chunks(session.tuning.block)
        .zip(&dealt.blocks)
        .map(|(values, dealt)| {
            let words = plane_words(values.len());
            let mut m = vec![0; thresholds.len() * words * planes];
            let mut state = vec![0; thresholds.len() * circuit.slots * words];
            let mut scratch = Vec::new();
            let each = m.chunks_exact_mut(words * planes).zip(state.chunks_exact_mut(circuit.slots * words));
            for (&t, (m, state)) in thresholds.iter().zip(each) {
                let mut shifted = Scratch::of(values.len());
                shifted.iter_mut().zip(values).for_each(|(out, v)| *out = v.wrapping_sub(t));
                to_planes(&shifted, skipped, planes as u32, m);
                for leaf in &circuit.leaves {
                    let bit = |j: usize| {
                        let at = (leaf.low as usize + j) * words;
                        &m[at..at + words]
                    };
                    leaf.evaluate(bit, dealt, first, state, words, &mut scratch);
                }
            }
            Block { m, state, words }
        })
        .collect()
}

fn evaluate_level(
    level: &[Gate],
    circuit: &Circuit,
    blocks: &mut [Block],
    opened: &Opened,
    dealt: &Planes,
    first: bool,
) {
    use rayon::prelude::*;
    let (public, hidden) = (&opened.public.blocks, &opened.hidden.blocks);
    blocks.par_iter_mut().zip(public).zip(hidden.par_iter().zip(&dealt.blocks)).for_each(
        |((block, public), (hidden, dealt))| {
            let words = block.words;
            let count = Circuit::opened(level) * words;
            let mut scratch = Vec::new();
            for (copy, state) in block.state.chunks_exact_mut(circuit.slots * words).enumerate() {
                // Planes of this comparison; those dealt for it lie behind those of the comparisons
                // before it.
                let own = copy * count..(copy + 1) * count;
                let (public, hidden) = (&public[own.clone()], &hidden[own]);
                let dealt = &dealt[copy * circuit.each * words..];
                for node in level {
                    node.evaluate(public, hidden, dealt, first, state, words, &mut scratch);
                }
            }
        },
    );
}

impl MirrorCosts {
    /// A comparison's cost. Its tree: every level one round; leaves (once for all thresholds),
    /// products dealt; then β opened.
    pub(crate) fn sign(&self, len: usize, thresholds: usize, looks: Looks) -> Cost {
        let tree = Tree::best(looks.compared().unwrap_or(1), len, thresholds, self.tuning);
        let circuit = Circuit::new(&tree, thresholds);
        let dealt = circuit.planes(self.tuning.masks_signs);
        let mut cost = self.dealt(len, |n| dealt * plane_bytes(n));
        for level in &circuit.levels {
            let count = thresholds * Circuit::opened(level);
            cost += self.opened(len, |n| count * plane_bytes(n));
        }
        cost + self.opened(len, |n| thresholds * plane_bytes(n))
    }
}
