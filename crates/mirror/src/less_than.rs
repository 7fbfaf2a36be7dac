//! The comparison [m < r] of a public m with a dealer-known r, and from it the sign of a masked value.

use std::ops::Range;

use cryptflow_mpc::Error;
use cryptflow_ring::planes::{expand_masks, plane_words, to_planes};

use crate::Mirror;
use crate::circuit::{Circuit, Node};
use crate::plan::Plan;
use crate::session::{BLOCK, Planes, Session};
use crate::share::Masked;

/// The bit x >= 0 of each element under a mask: bit = β ⊕ ρ. The evaluators hold β, P2 holds ρ; one plane a block.
pub(crate) struct Sign {
    pub(crate) planes: Planes,
}

impl Sign {
    /// For each element of a range 0 or `u64::MAX`, as this party's bit is 0 or 1.
    pub(crate) fn masks(&self, range: Range<usize>, out: &mut [u64]) {
        let word = |index: usize| {
            let block = self.planes.blocks.get(index / BLOCK_WORDS);
            block.and_then(|b| b.get(index % BLOCK_WORDS)).copied().unwrap_or(0)
        };
        for (start, out) in range.step_by(64).zip(out.chunks_mut(64)) {
            let (at, shift) = (start / 64, start % 64);
            let bits = if shift == 0 { word(at) } else { word(at) >> shift | word(at + 1) << (64 - shift) };
            expand_masks(&[bits], out);
        }
    }
}

/// Words of a plane of a full block.
const BLOCK_WORDS: usize = BLOCK / 64;

impl Mirror {
    /// [x >= 0] under a mask, from the low `compare_bits` bits of x: exact where −2^(c−1) <= x < 2^(c−1). One round for each level
    /// of the comparison's tree, and one more to open β.
    pub(crate) fn sign(&mut self, x: &Masked, compare_bits: u32) -> Result<Sign, Error> {
        if compare_bits < 2 || compare_bits > x.bits {
            return Err(Error::Range {
                operation: "comparison",
                reason: format!("{compare_bits} bits are to be compared of a value of {} bits", x.bits),
            });
        }
        let plan = Plan::best(compare_bits - 1, x.len(), self.session.tuning);
        let circuit = Circuit::new(&plan);
        less_than_and_sign(&mut self.session, x, &circuit)
    }
}

/// What the evaluators keep of a block between rounds.
struct Block {
    m: Vec<u64>,
    state: Vec<u64>,
}

pub(crate) fn less_than_and_sign(
    session: &mut Session,
    x: &Masked,
    circuit: &Circuit,
) -> Result<Sign, Error> {
    let (len, first) = (x.len(), session.is_first());
    // Bits of m or r: the compared ones and, above them, the sign.
    let planes = circuit.bits as usize + 1;
    let pads: Vec<Planes> =
        circuit.levels.iter().map(|level| session.plane_pads(len, Circuit::opened(level))).collect();
    let sign_pads = session.plane_pads(len, 1);

    // P2 deals the monomials of r's bits, the products of the masks of what will be opened, and r's sign bit.
    let dealt = session.deal_planes(len, circuit.dealt + 1, |index, block, out| {
        let words = plane_words(block.len());
        let sum: Vec<u64> =
            x.a[block.clone()].iter().zip(&x.b[block]).map(|(a, b)| a.wrapping_add(*b)).collect();
        let mut r = vec![0; words * planes];
        to_planes(&sum, 0, planes as u32, &mut r);
        let bit = |j: usize| &r[j * words..(j + 1) * words];
        for leaf in &circuit.leaves {
            let at = leaf.first * words..(leaf.first + (1 << leaf.bits) - 1) * words;
            leaf.monomials(|j| bit(leaf.low as usize + j), &mut out[at], words);
        }
        for (level, pads) in circuit.levels.iter().zip(&pads) {
            for node in level {
                let at = node.first * words..(node.first + node.monomials.len()) * words;
                let mask = |p: usize| {
                    let at = (node.first_opened + p) * words;
                    &pads.blocks[index][at..at + words]
                };
                node.products(mask, &mut out[at], words);
            }
        }
        out[circuit.dealt * words..].copy_from_slice(bit(circuit.bits as usize));
    })?;

    // The evaluators' leaves need no message.
    let mut blocks: Vec<Block> = Vec::new();
    if !session.is_dealer() {
        blocks = evaluate_leaves(x, circuit, &dealt, first);
    }
    for (level, pads) in circuit.levels.iter().zip(pads) {
        let count = Circuit::opened(level);
        let opened = session.open_planes(len, count, pads, |index, out| {
            let words = blocks[index].m.len() / planes;
            for node in level {
                for (p, slot) in node.opened.iter().enumerate() {
                    let at = (node.first_opened + p) * words;
                    out[at..at + words]
                        .copy_from_slice(&blocks[index].state[slot * words..(slot + 1) * words]);
                }
            }
        })?;
        evaluate_level(level, &mut blocks, planes, &opened.public, &opened.hidden, &dealt, first);
    }

    // β = 1 ⊕ less ⊕ msb(m) ⊕ msb(r), opened under the last pads.
    let opened = session.open_planes(len, 1, sign_pads, |index, out| {
        let block = &blocks[index];
        let words = out.len();
        let less = &block.state[circuit.root * words..(circuit.root + 1) * words];
        let sign_of_m = &block.m[circuit.bits as usize * words..];
        let sign_of_r = &dealt.blocks[index][circuit.dealt * words..];
        for (i, out) in out.iter_mut().enumerate() {
            *out = less[i] ^ sign_of_r[i] ^ if first { !sign_of_m[i] } else { 0 };
        }
    })?;
    Ok(Sign { planes: if session.is_dealer() { opened.hidden } else { opened.public } })
}

fn evaluate_leaves(x: &Masked, circuit: &Circuit, dealt: &Planes, first: bool) -> Vec<Block> {
    use rayon::prelude::*;
    let planes = circuit.bits as usize + 1;
    x.a.par_chunks(BLOCK)
        .zip(&dealt.blocks)
        .map(|(values, dealt)| {
            let words = plane_words(values.len());
            let mut m = vec![0; words * planes];
            to_planes(values, 0, planes as u32, &mut m);
            let mut state = vec![0; circuit.slots * words];
            let mut scratch = Vec::new();
            for leaf in &circuit.leaves {
                let bit = |j: usize| {
                    let at = (leaf.low as usize + j) * words;
                    &m[at..at + words]
                };
                leaf.evaluate(bit, dealt, first, &mut state, words, &mut scratch);
            }
            Block { m, state }
        })
        .collect()
}

fn evaluate_level(
    level: &[Node],
    blocks: &mut [Block],
    planes: usize,
    public: &Planes,
    hidden: &Planes,
    dealt: &Planes,
    first: bool,
) {
    use rayon::prelude::*;
    blocks.par_iter_mut().zip(&public.blocks).zip(hidden.blocks.par_iter().zip(&dealt.blocks)).for_each(
        |((block, public), (hidden, dealt))| {
            let words = block.m.len() / planes;
            let mut scratch = Vec::new();
            for node in level {
                node.evaluate(public, hidden, dealt, first, &mut block.state, words, &mut scratch);
            }
        },
    );
}
