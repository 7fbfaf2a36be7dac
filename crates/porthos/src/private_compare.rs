//! PrivateCompare: P0 and P1 hold shares over Z_p of the bits of a word x, and know t and a random
//! bit β; P2 learns β' = β ⊕ (x > t), which says nothing without β. 128 bytes for each element; one
//! message from each of P0 and P1.
//!
//! For the bits from the top, w_i = x_i ⊕ t_i and c_i = t_i − x_i + 1 + Σ_{k>i} w_k: exactly one
//! c_i is zero if x > t, and none otherwise. For β = 1 the question is turned round, x < t + 1, so
//! that a zero means β' = 1 in both cases. The c_i are multiplied by random factors, put in a
//! random order, and re-randomised by a share of zero: P2, which knows the shares of x_i, sees
//! uniform bytes, and one zero at a random place or none.

use cryptflow_mpc::stream::{Group as CellGroup, Pieces, Stream};
use cryptflow_mpc::{Cost, Error, Party};
use cryptflow_ring::small_field::{
    Blinds, GROUP, Group, GroupWords, LANES, PRIME, Row, Thresholds, any_zero, as_group, as_words, bits_less,
    compare, nonzero, uniform,
};
use rayon::prelude::*;

use crate::PorthosCosts;
use crate::session::{Dealt, Session, draw};
use crate::tuning::cut;

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

/// A stream cut for groups of bytes: the words of each, and those for its unfit bytes.
struct Groups {
    bytes: Pieces,
    spare: Pieces,
}

/// What one group is made of.
struct OfGroup {
    bytes: Stream,
    spare: Pieces,
}

impl Groups {
    fn new(stream: Stream) -> Groups {
        let (bytes, spare) = stream.split_at(SPARE);
        Groups { bytes: bytes.pieces(GROUP_WORDS), spare: spare.pieces(SPARE_WORDS) }
    }
}

impl Iterator for Groups {
    type Item = OfGroup;

    fn next(&mut self) -> Option<OfGroup> {
        Some(OfGroup { bytes: self.bytes.cut(), spare: self.spare.cut().pieces(8) })
    }
}

/// Makes random bytes uniform elements (nonzero ones, if so said); unfit ones are replaced by spare
/// ones.
fn fit(spare: &mut Pieces, nonzero_only: bool, out: &mut GroupWords) {
    let mut words = [0u64; 8];
    let mut used = 0;
    let redraw = || {
        if used % 64 == 0 {
            spare.cut().draw(&mut words);
        }
        let byte = words[used % 64 / 8].to_le_bytes()[used % 8];
        used += 1;
        byte
    };
    if nonzero_only { nonzero(out, redraw) } else { uniform(out, redraw) }
}

/// A group of uniform elements.
fn sample(OfGroup { bytes, mut spare }: OfGroup, nonzero_only: bool, out: &mut GroupWords) {
    bytes.draw(out);
    fit(&mut spare, nonzero_only, out);
}

/// Eight elements of Z_127, side by side in a word.
struct Cells;

/// The same, blinded by β, factors and places besides.
struct Blinded;

impl Cells {
    fn each(a: u64, b: u64, f: impl Fn(u16, u16) -> u16) -> u64 {
        let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
        u64::from_le_bytes(std::array::from_fn(|i| (f(a[i].into(), b[i].into()) % u16::from(PRIME)) as u8))
    }
}

impl CellGroup for Cells {
    fn element(&self, word: u64) -> u64 {
        word
    }

    fn sum(&self, a: u64, b: u64) -> u64 {
        Cells::each(a, b, |a, b| a + b)
    }

    fn difference(&self, a: u64, b: u64) -> u64 {
        Cells::each(a, b, |a, b| a + u16::from(PRIME) - b)
    }
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

impl CellGroup for Blinded {
    fn element(&self, word: u64) -> u64 {
        Cells.element(word)
    }

    fn sum(&self, a: u64, b: u64) -> u64 {
        Cells.sum(a, b)
    }

    fn difference(&self, a: u64, b: u64) -> u64 {
        Cells.difference(a, b)
    }

    fn joint(&self) -> bool {
        true
    }
}

/// The bits of 64 words, less a pad.
fn hide_bits(
    out: &mut [u8],
    words: &[u64; LANES],
    OfGroup { bytes, mut spare }: OfGroup,
    scratch: &mut Scratch,
) {
    let Scratch { x: drawn, cells, .. } = scratch;
    let pad = bytes.pad(drawn);
    fit(&mut spare, false, drawn);
    write_group(out, cells, |group| bits_less(words, as_group(drawn), group));
    pad.hid(&Cells, true, drawn, || words_of(out));
}

/// The group in a message, as words.
fn words_of(bytes: &[u8]) -> Vec<u64> {
    as_words(read_group(bytes, &mut [[0; LANES]; LANES])).to_vec()
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
        planted!(self.tuning, BareBits: self.plant.bare_next());
        planted!(self.tuning, OnePadForBits: self.plant.repeat_next(GROUP_WORDS as u64));
        let Dealt::Dealer(keys) = self.dealt() else { return Ok(()) };
        let [mut k02, mut k12] = keys.map(Groups::new);
        for block in self.tuning.blocks(x.len()) {
            let x = &x[block];
            let half = cut(x.len());
            let ours = |keys: &mut Groups| keys.by_ref().take(x.len().div_ceil(LANES)).collect::<Vec<_>>();
            let (mut pads0, mut pads1) = (ours(&mut k02), ours(&mut k12));
            // Of either key the other half of the block's pads is nobody's.
            let groups = half.div_ceil(LANES);
            pads0.truncate(groups);
            pads1.drain(..groups);
            for (to, pads, part) in [(Party::P1, pads0, 0..half), (Party::P0, pads1, half..x.len())] {
                if part.is_empty() {
                    continue;
                }
                let mut message = vec![0; part.len() * LANES];
                let groups = message.par_chunks_mut(GROUP).zip(x[part].par_chunks(LANES)).zip(pads);
                groups.for_each_init(Scratch::new, |scratch, ((out, x), pad)| {
                    hide_bits(out, &lanes(x), pad, scratch);
                });
                self.send_cells(to, message)?;
            }
        }
        Ok(())
    }

    /// The evaluators' part: their shares of x's bits, received or drawn, become what P2 is sent.
    pub(crate) fn ask(&mut self, len: usize, question: &Question<'_>) -> Result<(), Error> {
        planted!(self.tuning, BareBits: self.plant.bare_next());
        planted!(self.tuning, OnePadForBits: self.plant.repeat_next(GROUP_WORDS as u64));
        let streams = [self.common(), self.common(), self.common()];
        let ([Some(k_factors), Some(k_zeros), Some(k_places)], Dealt::Evaluator(own)) =
            (streams, self.dealt())
        else {
            return Ok(());
        };
        let k_factors = planted!(self.tuning, NoFactors: crate::planted::ones(k_factors); k_factors);
        let k_zeros = planted!(self.tuning, BareCells: crate::planted::bare(k_zeros); k_zeros);
        let k_zeros = planted!(self.tuning, OneStreamForCells: k_factors.insecure_copy(); k_zeros);
        let k_places = planted!(self.tuning, NoPlaces: crate::planted::bare(k_places); k_places);
        let (first, one) = (self.is_first(), self.one() as u8);
        let mut streams = Groups::new(own)
            .zip(Groups::new(k_factors).zip(Groups::new(k_zeros)))
            .zip(k_places.pieces(LANES / 8));
        for block in self.tuning.blocks(len) {
            let n = block.len();
            let (sent, drawn) = (self.sent_part(n), self.drawn_part(n));
            let dealt = self.receive_cells(sent.len())?;
            let mut message = vec![0; n * LANES];
            let streams: Vec<_> = streams.by_ref().take(n.div_ceil(LANES)).collect();
            let groups = message.par_chunks_mut(GROUP).zip(streams).enumerate();
            groups.for_each_init(
                Scratch::new,
                |scratch, (i, (out, ((own, (of_factors, of_zero)), of_places)))| {
                    let Scratch { x, factors, zero, cells, other } = &mut **scratch;
                    let x = if drawn.contains(&(i * LANES)) {
                        sample(own, false, x);
                        as_group(x)
                    } else {
                        let at = (i * LANES - sent.start) * LANES;
                        read_group(&dealt[at..at + out.len()], other)
                    };
                    sample(of_factors, true, factors);
                    let mut place: Row = [0; LANES];
                    let mut random = [0; LANES / 8];
                    of_places.draw(&mut random);
                    for (p, r) in place.as_chunks_mut::<8>().0.iter_mut().zip(random) {
                        *p = r.to_le_bytes();
                    }
                    let thresholds = (question.thresholds)(block.start / LANES + i);
                    let OfGroup { bytes, mut spare } = of_zero;
                    let pad = bytes.pad(zero);
                    fit(&mut spare, false, zero);
                    let blinds = Blinds { factors: as_group(factors), zero: as_group(zero), place: &place };
                    write_group(out, cells, |group| compare(one, x, &thresholds, &blinds, group));
                    pad.hid(&Blinded, !first, zero, || words_of(out));
                },
            );
            self.send_cells(Party::P2, message)?;
        }
        Ok(())
    }

    /// P2's part: β' for each element.
    pub(crate) fn answer(&self, len: usize) -> Result<Vec<u64>, Error> {
        let mut answers = Vec::with_capacity(len);
        for block in self.tuning.blocks(len) {
            let [from0, from1] = self.of_evaluators(block.len(), LANES)?;
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
    pub(crate) fn draw(stream: Stream, len: usize) -> Coins {
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

impl PorthosCosts {
    /// What P0 and P1 send P2 for a comparison, and its dealt bits: (2 + 1) l log p. One round.
    pub(crate) fn private_compare(&self, len: usize) -> Cost {
        let sent = (len * LANES) as u64;
        let [to0, to1] = self.halves(len).map(|n| n * LANES as u64);
        Cost { rounds: 1, bytes: [[0, 0, sent], [0, 0, sent], [to0, to1, 0]].into() }
    }
}
