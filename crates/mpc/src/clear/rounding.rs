//! How a shift rounds: half up, or as the shares of a protocol have it.
//!
//! A protocol shifts shares, not the value: what is below the unit in each of them is lost on its
//! own, and so the result is off by −1, 0 or +1 unit, at random. A compiler that is to say how far a
//! program will be off must see that.

use cryptflow_operation::bits::skipped_below;
use cryptflow_ring::Prf;
use rayon::prelude::*;

use super::each::MANY;
use super::{reduce, sign_extend};

/// Elements whose words are drawn together: they stay in the first cache.
const CHUNK: usize = 512;

/// How what is shifted out is rounded.
#[derive(Clone)]
pub(super) enum Rounding {
    /// To the nearest; half up.
    Nearest,
    /// As three shares are shifted, of which the third is twice a product: Mirror's truncation, which
    /// errs more than others do.
    OfShares(Box<Draws>),
}

/// The low bits of shares, from a stream of their own for each operation.
#[derive(Clone)]
pub(super) struct Draws {
    prf: Prf,
    streams: u64,
}

impl Rounding {
    pub(super) fn of_shares(seed: [u8; 16]) -> Rounding {
        Rounding::OfShares(Box::new(Draws { prf: Prf::new(seed), streams: 0 }))
    }

    /// Sums, of a ring of so many bits, as a linear operation shifts them into another one.
    ///
    /// Twice the sum is shared three ways, and each share shifted by f + 1 bits; the second one's low
    /// bits are what the others leave of the sum's.
    pub(super) fn shift(&mut self, z: &mut [u64], from: u32, shift: u32, to: u32) {
        match self {
            Rounding::OfShares(draws) if (1..63).contains(&shift) => {
                let low = |word: u64| word & ((2 << shift) - 1);
                let (below, half) = ((1i64 << shift) - 1, (1i64 << (shift - 1)) - 1);
                draws.beside(z, |z, _, [first, dealt]| {
                    // Half of what is lost of twice the sum, which is no more than a word has.
                    let lost = (low(first) + low(dealt & !1)).div_ceil(2) as i64;
                    let sum = sign_extend(*z, from);
                    *z = reduce(((sum >> shift) + (((sum & below) + half - lost) >> shift) + 1) as u64, to);
                });
            }
            Rounding::OfShares(_) | Rounding::Nearest => nearest(z, from, shift, to),
        }
    }

    /// Products with public factors, as two shares are shifted.
    pub(super) fn shift_public(&mut self, z: &mut [u64], factors: &[u64], from: u32, shift: u32, to: u32) {
        match self {
            Rounding::OfShares(draws) if (1..63).contains(&shift) => {
                let of = |at: usize| factors.get(at % factors.len().max(1)).copied().unwrap_or(0);
                draws.beside(z, |z, at, [word, _]| {
                    let factor = of(at);
                    // A share is a multiple of the factor.
                    let step = if factor == 0 { 1 << shift } else { factor & factor.wrapping_neg() };
                    let lost = i128::from(word & ((1 << shift) - 1) & !(step - 1));
                    let half = i128::from((1u64 << shift).saturating_sub(step));
                    *z = reduce(((i128::from(sign_extend(*z, from)) + half - lost) >> shift) as u64, to);
                });
            }
            Rounding::OfShares(_) | Rounding::Nearest => nearest(z, from, shift, to),
        }
    }
}

impl Rounding {
    /// What each of so many comparisons takes from a difference, 0 to 2^skipped − 1, and then looks whether it is at
    /// least zero: none where all of it is looked at, or rounding is to the nearest. The bits that a comparison skips lose a carry in
    /// shares as what is shifted out does.
    pub(super) fn below(&mut self, len: usize, skipped: u32) -> Option<Vec<i64>> {
        match self {
            Rounding::OfShares(draws) if skipped > 0 => {
                let most = skipped_below(skipped) as u64;
                let mut below = vec![0; len];
                draws.beside(&mut below, |below, _, [word, _]| *below = (word & most) as i64);
                Some(below)
            }
            Rounding::OfShares(_) | Rounding::Nearest => None,
        }
    }
}

impl Draws {
    /// Calls `f` with each element, its place and two words.
    fn beside<T: Send>(&mut self, z: &mut [T], f: impl Fn(&mut T, usize, [u64; 2]) + Sync) {
        let (prf, stream) = (&self.prf, self.streams);
        self.streams += 1;
        let of_chunk = |(chunk, z): (usize, &mut [T])| {
            let (mut words, first) = ([0; 2 * CHUNK], chunk * CHUNK);
            let words = &mut words[..2 * z.len()];
            prf.fill_words(stream, 2 * first as u64, words);
            for ((at, z), &pair) in z.iter_mut().enumerate().zip(words.as_chunks::<2>().0) {
                f(z, first + at, pair);
            }
        };
        match z.len() {
            0..MANY => z.chunks_mut(CHUNK).enumerate().for_each(of_chunk),
            _ => z.par_chunks_mut(CHUNK).enumerate().for_each(of_chunk),
        }
    }
}

/// Sums shifted as [`Clear::rounding_as_shares`](super::Clear::rounding_as_shares) shifts those of a
/// linear operation.
pub fn shifted_as_shares(z: &[i64], shift: u32, seed: [u8; 16]) -> Vec<i64> {
    let mut shifted: Vec<u64> = z.iter().map(|&z| z as u64).collect();
    Rounding::of_shares(seed).shift(&mut shifted, u64::BITS, shift, u64::BITS);
    shifted.into_iter().map(|z| z as i64).collect()
}

/// `(z + 2^(shift−1)) >> shift`, the sum without overflow.
fn nearest(z: &mut [u64], from: u32, shift: u32, to: u32) {
    let half = if shift > 0 { 1i128 << (shift - 1) } else { 0 };
    let rounded = |z: u64| ((i128::from(sign_extend(z, from)) + half) >> shift) as u64;
    z.iter_mut().for_each(|z| *z = reduce(rounded(*z), to));
}
