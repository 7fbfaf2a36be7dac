//! Mirror's sharings, and what the owner of a secret does with them.
//!
//! | | P0 | P1 | P2 |
//! |---|---|---|---|
//! | masked: x = m − r0 − r1 | m, r0 | m, r1 | r0, r1 |
//! | mirrored (local: m − 2·r0, m − 2·r1, r0 − r1) | x − d | x + d | d |
//!
//! Owners share values and weights alike, in masked form: each of its three pieces goes to two
//! parties, who can compare what they were given.

use std::sync::OnceLock;

use cryptflow_mpc::{Error, Owner, keys};
use cryptflow_ring::Words;
use cryptflow_ring::pack::{pack, packed_len, unpack};
use cryptflow_ring::prf::Prf;
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::mirror::PARTIES;
use crate::session::CHUNK;

/// Bytes of a seed.
pub(crate) const SEED: usize = 16;

/// The low `bits` bits.
pub(crate) fn low_bits(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// A party's part of a secret tensor over Z_2^bits in masked form. For the evaluators `a` is the
/// public m and `b` their own r_i; for P2 they are r0 and r1. Both are reduced mod 2^bits.
#[derive(Clone)]
pub struct Masked {
    pub(crate) a: Vec<u64>,
    pub(crate) b: Vec<u64>,
    pub(crate) bits: u32,
}

impl Masked {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.a.len()
    }

    /// True for a tensor without elements.
    pub fn is_empty(&self) -> bool {
        self.a.is_empty()
    }

    /// The value lives in Z_2^bits.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The same value in a smaller ring: everything reduced.
    pub(crate) fn reduced(&self, bits: u32) -> Masked {
        let mask = low_bits(bits);
        let cut = |v: &[u64]| v.iter().map(|x| x & mask).collect();
        Masked { a: cut(&self.a), b: cut(&self.b), bits }
    }
}

impl std::fmt::Debug for Masked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masked").field("len", &self.len()).field("bits", &self.bits).finish_non_exhaustive()
    }
}

/// A party's part of a weight, in mirrored form: w − e, w + e, or the seeds of e = r0 − r1.
pub struct MirroredWeight {
    pub(crate) part: WeightPart,
    pub(crate) len: usize,
    /// It is used in no larger ring.
    pub(crate) bits: u32,
}

pub(crate) enum WeightPart {
    /// P0: w − e, P1: w + e.
    Evaluator(Words),
    /// P2: r0 and r1 are streams of their own.
    Dealer(Box<Expanded>),
    /// P2's e, written down: it was derived before.
    Difference(Words),
}

/// P2's part of a weight: the seeds of e. Where that is small, e itself, once it was needed: each run of a
/// session needs it again.
pub(crate) struct Expanded {
    seeds: [Prf; 2],
    /// Bits of the largest ring in which e is needed.
    bits: u32,
    kept: OnceLock<Words>,
}

impl Expanded {
    pub(crate) fn new(seeds: [Prf; 2], bits: u32) -> Expanded {
        Expanded { seeds, bits, kept: OnceLock::new() }
    }

    /// e = r0 − r1, where it is kept, or `room`, in elements, allows for that.
    pub(crate) fn kept(&self, len: usize, room: &mut usize) -> Option<&Words> {
        if self.kept.get().is_none() {
            *room = room.checked_sub(len)?;
        }
        Some(self.kept.get_or_init(|| difference(&self.seeds, len, self.bits)))
    }

    /// Makes the elements of e from a number of it on.
    pub(crate) fn draw(&self) -> impl Fn(usize, &mut [u64]) + Sync {
        difference_of(&self.seeds)
    }
}

impl std::fmt::Debug for MirroredWeight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MirroredWeight").field("len", &self.len).finish_non_exhaustive()
    }
}

/// The owner of an input or of a model, for programs over Z_2^ring_bits. Every tensor gets fresh
/// seeds: new weights, new mask.
#[derive(Clone, Copy, Debug)]
pub struct MirrorOwner {
    pub(crate) ring_bits: u32,
    /// What a test plants.
    #[cfg(all(test, debug_assertions))]
    pub(crate) planted: Option<crate::planted::Bug>,
}

impl MirrorOwner {
    /// An owner for programs over Z_2^ring_bits.
    pub fn new(ring_bits: u32) -> MirrorOwner {
        MirrorOwner {
            ring_bits,
            #[cfg(all(test, debug_assertions))]
            planted: None,
        }
    }
}

fn fresh_seed() -> Result<Zeroizing<[u8; SEED]>, Error> {
    let mut seed = Zeroizing::new([0; SEED]);
    keys::random(seed.as_mut_slice())?;
    Ok(seed)
}

/// All of a seed's stream: the mask of one tensor.
pub(crate) fn expand(prf: &Prf, len: usize, bits: u32) -> Vec<u64> {
    let mut out = vec![0; len];
    prf.fill_words(0, 0, &mut out);
    let mask = low_bits(bits);
    out.par_iter_mut().with_min_len(CHUNK).for_each(|x| *x &= mask);
    out
}

/// A seed, followed by packed words.
fn part(seed: &[u8; SEED], words: &[u64], bits: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEED + packed_len(words.len(), bits));
    out.extend_from_slice(seed);
    pack(words, bits, &mut out);
    out
}

impl MirrorOwner {
    /// Shares x over Z_2^bits, with two fresh seeds.
    fn share_in(&self, x: &[u64], bits: u32) -> Result<Vec<Vec<u8>>, Error> {
        let seed0 = planted!(self, ConstantSeed: Zeroizing::new([7; SEED]); fresh_seed()?);
        let seed1 = planted!(self, OneSeedForBothMasks: seed0.clone(); fresh_seed()?);
        Ok(share_with(x, bits, &seed0, &seed1))
    }
}

fn share_with(x: &[u64], bits: u32, seed0: &[u8; SEED], seed1: &[u8; SEED]) -> Vec<Vec<u8>> {
    let [r0, r1] = [seed0, seed1].map(|seed| expand(&Prf::new(*seed), x.len(), bits));
    let m: Vec<u64> =
        x.iter().zip(&r0).zip(&r1).map(|((x, r0), r1)| x.wrapping_add(*r0).wrapping_add(*r1)).collect();
    let helper = [seed0.as_slice(), seed1.as_slice()].concat();
    vec![part(seed0, &m, bits), part(seed1, &m, bits), helper]
}

/// Bits of the ring in which a weight of `len` elements is shared, in a program over Z_2^ring_bits in which no step uses
/// more than `bits` of it: these, where its part gets shorter by that, and otherwise the program's. So the length of a
/// part, to which its owner has committed, says in which of the two it is.
pub(crate) fn shared_bits(len: usize, ring_bits: u32, bits: u32) -> u32 {
    let own = bits.clamp(1, ring_bits);
    if packed_len(len, own) < packed_len(len, ring_bits) { own } else { ring_bits }
}

impl Owner for MirrorOwner {
    /// A seed to P0 and P2, one to P1 and P2, and m = x + r0 + r1 to P0 and P1.
    fn share_value(&self, x: &[u64]) -> Result<Vec<Vec<u8>>, Error> {
        self.share_in(x, self.ring_bits)
    }

    /// As a value, in a ring of its own: the mirrored form, all that is kept of it, follows.
    fn share_weight(&self, w: &[u64], bits: u32) -> Result<Vec<Vec<u8>>, Error> {
        let bits = shared_bits(w.len(), self.ring_bits, bits);
        planted!(self, ConstantWeightSeeds: Ok(share_with(w, bits, &[1; SEED], &[2; SEED])); self.share_in(w, bits))
    }

    /// The sum of what P0 and P1 sent: shares re-randomised by a zero share that P2 does not know.
    fn open(&self, len: usize, parts: &[&[u8]]) -> Result<Vec<i64>, Error> {
        const NAME: &str = "the output";
        let malformed = |reason: String| Error::Share { name: NAME.into(), reason };
        let &[first, second, _] = parts else { return Err(Error::parts(NAME, parts.len(), PARTIES)) };
        let [(bits0, y0), (bits1, y1)] =
            [first, second].map(|p| p.split_first().map_or((0, p), |(b, rest)| (u32::from(*b), rest)));
        if bits0 != bits1 || !(1..=64).contains(&bits0) {
            return Err(malformed(format!("P0 speaks of {bits0} bits, P1 of {bits1}")));
        }
        let mut sum = vec![0; len];
        let mut other = vec![0; len];
        for (name, y, out) in [("P0", y0, &mut sum), ("P1", y1, &mut other)] {
            let due = packed_len(len, bits0);
            if y.len() != due {
                return Err(malformed(format!("{name} sent {} bytes where {due} were due", y.len())));
            }
            unpack(y, bits0, out);
        }
        let spare = 64 - bits0;
        Ok(sum.iter().zip(&other).map(|(a, b)| ((a.wrapping_add(*b) << spare) as i64) >> spare).collect())
    }
}

/// What an owner gives to a party.
pub(crate) enum Part<'a> {
    /// P0 and P1: the seed of their mask, and m, packed.
    Evaluator(Prf, &'a [u8]),
    /// P2: the seeds of both masks.
    Dealer([Prf; 2]),
}

/// Words that are drawn from a seed at a time, beside what they are added to.
const DRAWN: usize = 1 << 10;

/// Calls `add(word, out)` for each of the words of `out` with that of a seed's stream; `first` is the number of the
/// first of them.
fn with_words(seed: &Prf, first: usize, out: &mut [u64], add: impl Fn(u64, &mut u64)) {
    let mut drawn = [0; DRAWN];
    for (i, out) in out.chunks_mut(DRAWN).enumerate() {
        let drawn = &mut drawn[..out.len()];
        seed.fill_words(0, (first + i * DRAWN) as u64, drawn);
        out.iter_mut().zip(drawn).for_each(|(out, word)| add(*word, out));
    }
}

/// An evaluator's w − e or w + e, from its seed and w's m, `len` elements that are packed in `from` bits: m − 2·r
/// mod 2^bits, for `bits` no more than `from`.
pub(crate) fn mirrored(seed: &Prf, m: &[u8], len: usize, [from, bits]: [u32; 2]) -> Words {
    Words::filled(len, bits, |first, out| {
        // It begins at a whole byte, as each 8 elements do.
        unpack(&m[packed_len(first, from)..], from, out);
        with_words(seed, first, out, |r, m| *m = m.wrapping_sub(r.wrapping_mul(2)));
    })
}

/// P2's e = r0 − r1 mod 2^bits.
pub(crate) fn difference(seeds: &[Prf; 2], len: usize, bits: u32) -> Words {
    Words::filled(len, bits, difference_of(seeds))
}

fn difference_of([r0, r1]: &[Prf; 2]) -> impl Fn(usize, &mut [u64]) + Sync {
    |first, out| {
        r0.fill_words(0, first as u64, out);
        with_words(r1, first, out, |r1, e| *e = e.wrapping_sub(r1));
    }
}

/// Reads an owner's part.
pub(crate) fn read_part<'a>(
    name: &str,
    bytes: &'a [u8],
    dealer: bool,
    len: usize,
    bits: u32,
) -> Result<Part<'a>, Error> {
    let due = SEED + if dealer { SEED } else { packed_len(len, bits) };
    let malformed = || Error::Share {
        name: name.into(),
        reason: format!("{} bytes came where {due} were due", bytes.len()),
    };
    let (seed, rest) = bytes.split_first_chunk::<SEED>().ok_or_else(malformed)?;
    if bytes.len() != due {
        return Err(malformed());
    }
    if dealer {
        let other = rest.first_chunk::<SEED>().ok_or_else(malformed)?;
        return Ok(Part::Dealer([Prf::new(*seed), Prf::new(*other)]));
    }
    Ok(Part::Evaluator(Prf::new(*seed), rest))
}

/// Bytes of each party's part of a weight; the arguments are those of [`shared_bits`].
pub(crate) fn weight_parts(len: usize, ring_bits: u32, bits: u32) -> [u64; PARTIES] {
    let evaluator = SEED + packed_len(len, shared_bits(len, ring_bits, bits));
    [evaluator, evaluator, 2 * SEED].map(|bytes| bytes as u64)
}

/// Reads an owner's part of a weight, and the bits of the ring in which it was shared: its own, or that of its program,
/// as owners of older releases share all.
pub(crate) fn read_weight<'a>(
    name: &str,
    bytes: &'a [u8],
    dealer: bool,
    len: usize,
    [ring_bits, bits]: [u32; 2],
) -> Result<(Part<'a>, u32), Error> {
    let own = shared_bits(len, ring_bits, bits);
    let whole = !dealer && bytes.len() == SEED + packed_len(len, ring_bits);
    let from = if whole { ring_bits } else { own };
    Ok((read_part(name, bytes, dealer, len, from)?, from))
}

/// All of m.
pub(crate) fn unpacked(m: &[u8], len: usize, bits: u32) -> Vec<u64> {
    let mut words = vec![0; len];
    if len > 0 {
        unpack(m, bits, &mut words);
    }
    words
}
