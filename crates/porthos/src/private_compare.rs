//! PrivateCompare: P0 and P1 hold shares over Z_p of the bits of a word x, and know t and a random
//! bit β; P2 learns β' = β ⊕ (x > t), which says nothing without β. 128 bytes for each element; one
//! message from each of P0 and P1.
//!
//! For the bits from the top, w_i = x_i ⊕ t_i and c_i = t_i − x_i + 1 + Σ_{k>i} w_k: exactly one
//! c_i is zero if x > t, and none otherwise. For β = 1 the question is turned round, x < t + 1, so
//! that a zero means β' = 1 in both cases. The c_i are multiplied by random factors, put in a
//! random order, and re-randomised by a share of zero: P2, which knows the shares of x_i, sees
//! uniform bytes, and one zero at a random place or none.

use cryptflow_mpc::keys::Stream;
use cryptflow_mpc::{Cost, Error};
use cryptflow_ring::small_field::{
    Blinds, GROUP, Group, GroupWords, LANES, Row, Thresholds, any_zero, as_group, bits_less, compare,
    nonzero, uniform,
};
use rayon::prelude::*;

use crate::cost::halves;
use crate::session::{Dealt, Session, blocks, cut, draw};

/// Where the replacements of unfit bytes begin in a stream, in words; what comes before is for the
/// bytes themselves.
const SPARE: usize = 1 << 48;
/// Words set aside for the replacements of one group.
const SPARE_WORDS: usize = 1 << 12;
/// Words of a group.
const GROUP_WORDS: usize = GROUP / 8;

/// What a thread needs while it works on a group.
#[repr(align(64))]
struct Scratch {
    x: GroupWords,
    factors: GroupWords,
    zero: GroupWords,
    cells: Group,
    other: Group,
}

impl Scratch {
    fn new() -> Box<Scratch> {
        Box::new(Scratch {
            x: [0; GROUP_WORDS],
            factors: [0; GROUP_WORDS],
            zero: [0; GROUP_WORDS],
            cells: [[0; LANES]; LANES],
            other: [[0; LANES]; LANES],
        })
    }
}

/// A group of uniform elements (nonzero ones, if so said) from a stream, by its number.
fn sample(stream: &Stream, group: usize, nonzero_only: bool, out: &mut GroupWords) {
    stream.words(group * GROUP_WORDS, out);
    let mut spare = [0u64; 8];
    let mut used = 0;
    let redraw = || {
        if used % 64 == 0 {
            stream.words(SPARE + group * SPARE_WORDS + used / 8, &mut spare);
        }
        let byte = spare[used % 64 / 8].to_le_bytes()[used % 8];
        used += 1;
        byte
    };
    if nonzero_only { nonzero(out, redraw) } else { uniform(out, redraw) }
}

/// The group in a message of `LANES · lanes` bytes: as it lies there, or copied where it has fewer
/// lanes.
fn read_group<'a>(bytes: &'a [u8], copy: &'a mut Group) -> &'a Group {
    if let Ok(whole) = <&Group>::try_from(bytes.as_chunks::<LANES>().0) {
        return whole;
    }
    let lanes = (bytes.len() / LANES).max(1);
    for (row, bytes) in copy.iter_mut().zip(bytes.chunks_exact(lanes)) {
        row[..lanes].copy_from_slice(bytes);
    }
    copy
}

/// Lets `make` write a group into a message: where it shall lie, or by a copy where it has fewer
/// lanes.
fn write_group(bytes: &mut [u8], copy: &mut Group, make: impl FnOnce(&mut Group)) {
    let lanes = (bytes.len() / LANES).max(1);
    if let Ok(whole) = <&mut Group>::try_from(bytes.as_chunks_mut::<LANES>().0) {
        return make(whole);
    }
    make(copy);
    for (row, bytes) in copy.iter().zip(bytes.chunks_exact_mut(lanes)) {
        bytes.copy_from_slice(&row[..lanes]);
    }
}

/// Up to 64 words, the rest zero.
fn lanes(words: &[u64]) -> [u64; LANES] {
    let mut all = [0; LANES];
    all[..words.len()].copy_from_slice(words);
    all
}

/// What P0 and P1 ask of x: for each element, is x > t (or x >= t + 1), or, if turned, the
/// contrary.
pub(crate) struct Question<'a> {
    /// Makes the thresholds of a group: the words, whether "greater" is asked, whether the answer
    /// is yes anyhow.
    pub(crate) thresholds: &'a (dyn Fn(usize) -> Thresholds + Sync),
}

impl<const L: u32> Session<L> {
    /// P2's part of the dealing of x's bits, block by block: 64 bytes for each element, to one of
    /// the evaluators.
    pub(crate) fn deal_bits(&mut self, x: &[u64]) -> Result<(), Error> {
        let Dealt::Dealer([k02, k12]) = self.dealt() else { return Ok(()) };
        for block in blocks(x.len()) {
            let x = &x[block.clone()];
            let half = cut(x.len());
            for (to, key, part) in [(1, &k02, 0..half), (0, &k12, half..x.len())] {
                if part.is_empty() {
                    continue;
                }
                let first = (block.start + part.start) / LANES;
                let mut message = vec![0; part.len() * LANES];
                let groups = message.par_chunks_mut(GROUP).zip(x[part].par_chunks(LANES)).enumerate();
                groups.for_each_init(Scratch::new, |scratch, (i, (out, x))| {
                    sample(key, first + i, false, &mut scratch.x);
                    let pad = as_group(&scratch.x);
                    write_group(out, &mut scratch.cells, |group| bits_less(&lanes(x), pad, group));
                });
                self.links.to(to).send(message)?;
            }
        }
        Ok(())
    }

    /// The evaluators' part: their shares of x's bits, received or drawn, become what P2 is sent.
    pub(crate) fn ask(&mut self, len: usize, question: &Question<'_>) -> Result<(), Error> {
        let streams = [self.common(), self.common(), self.common()];
        let ([Some(k_factors), Some(k_zeros), Some(k_places)], Dealt::Evaluator(own)) =
            (streams, self.dealt())
        else {
            return Ok(());
        };
        let one = self.one() as u8;
        for block in blocks(len) {
            let n = block.len();
            let (sent, drawn) = (self.sent_part(n), self.drawn_part(n));
            let dealt = if sent.is_empty() { Vec::new() } else { self.helper().recv(sent.len() * LANES)? };
            let mut message = vec![0; n * LANES];
            message.par_chunks_mut(GROUP).enumerate().for_each_init(Scratch::new, |scratch, (i, out)| {
                let Scratch { x, factors, zero, cells, other } = &mut **scratch;
                let group = block.start / LANES + i;
                let x = if drawn.contains(&(i * LANES)) {
                    sample(&own, group, false, x);
                    as_group(x)
                } else {
                    let at = (i * LANES - sent.start) * LANES;
                    read_group(&dealt[at..at + out.len()], other)
                };
                sample(&k_factors, group, true, factors);
                sample(&k_zeros, group, false, zero);
                let mut place: Row = [0; LANES];
                let mut random = [0; LANES / 8];
                k_places.words(group * random.len(), &mut random);
                for (p, r) in place.as_chunks_mut::<8>().0.iter_mut().zip(random) {
                    *p = r.to_le_bytes();
                }
                let blinds = Blinds { factors: as_group(factors), zero: as_group(zero), place: &place };
                let thresholds = (question.thresholds)(group);
                write_group(out, cells, |group| compare(one, x, &thresholds, &blinds, group));
            });
            self.helper().send(message)?;
        }
        Ok(())
    }

    /// P2's part: β' for each element.
    pub(crate) fn answer(&self, len: usize) -> Result<Vec<u64>, Error> {
        let mut answers = Vec::with_capacity(len);
        for block in blocks(len) {
            let bytes = block.len() * LANES;
            let (from0, from1) = (self.links.to(0).recv(bytes)?, self.links.to(1).recv(bytes)?);
            let mut yes = vec![0; block.len()];
            let groups = from0.par_chunks(GROUP).zip(from1.par_chunks(GROUP)).zip(yes.par_chunks_mut(LANES));
            groups.for_each_init(Scratch::new, |scratch, ((a, b), yes)| {
                let mut row = [0; LANES];
                let (a, b) = (read_group(a, &mut scratch.cells), read_group(b, &mut scratch.other));
                any_zero(a, b, &mut row);
                yes.iter_mut().zip(row).for_each(|(y, r)| *y = u64::from(r));
            });
            answers.extend(yes);
        }
        Ok(answers)
    }
}

/// The bits β of a tensor, which P0 and P1 draw from their key.
pub(crate) struct Coins(Vec<u64>);

impl Coins {
    pub(crate) fn draw(stream: &Stream, len: usize) -> Coins {
        Coins(draw::<64>(stream, len.div_ceil(LANES)))
    }

    /// β of element `i`: 0 or 1.
    pub(crate) fn bit(&self, i: usize) -> u64 {
        self.0.get(i / LANES).map_or(0, |word| word >> (i % LANES) & 1)
    }

    /// β of the elements of a group: 0 or 0xff.
    pub(crate) fn group(&self, group: usize) -> Row {
        let word = self.0.get(group).copied().unwrap_or(0);
        std::array::from_fn(|lane| 0u8.wrapping_sub((word >> lane) as u8 & 1))
    }
}

/// The elements of a group among `words`.
pub(crate) fn group_of(words: &[u64], group: usize) -> [u64; LANES] {
    let at = (group * LANES).min(words.len());
    lanes(&words[at..(at + LANES).min(words.len())])
}

/// What P0 and P1 send P2 for a comparison, and its dealt bits: (2 + 1) l log p. One round.
pub(crate) fn cost(len: usize) -> Cost {
    let sent = (len * LANES) as u64;
    let [to0, to1] = halves(len).map(|n| n * LANES as u64);
    Cost { rounds: 1, bytes: [[0, 0, sent], [0, 0, sent], [to0, to1, 0]].into() }
}
