//! [`Words`]: elements of a ring, in no more memory than it needs.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::common::Place;
use crate::drawn::Drawn;
use crate::packed::{Bits, Packed};

/// Elements of a ring of at most 64 bits: in words of 32 bits where these hold it, in as many bits as it has where
/// that is less than a word of 64. A tensor that is read once and multiplied is read the faster for it, too.
#[derive(Clone, Debug)]
pub enum Words {
    /// Rings of up to 64 bits.
    Wide(Vec<u64>),
    /// Rings of up to 32 bits.
    Narrow(Vec<u32>),
    /// Rings of some bits between the two, without gaps.
    Packed(Packed),
    /// Any of them, in memory that other processes read, too.
    Common(Place),
}

/// How elements of a ring lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Wide,
    Narrow,
    Packed(u32),
}

/// Widest ring whose elements are packed: beyond it next to nothing is gained, and kernels unpack no more.
const MOST_PACKED: u32 = 56;

impl Form {
    /// The densest for a ring.
    pub(crate) fn of_ring(bits: u32) -> Form {
        match bits {
            0..=32 => Form::Narrow,
            33..=MOST_PACKED => Form::Packed(bits),
            _ => Form::Wide,
        }
    }

    /// Bytes of so many elements; nothing where no memory holds them.
    pub(crate) fn bytes(self, len: usize) -> Option<usize> {
        match self {
            Form::Wide => len.checked_mul(size_of::<u64>()),
            Form::Narrow => len.checked_mul(size_of::<u32>()),
            Form::Packed(bits) => Packed::bytes(len, bits),
        }
    }
}

/// Elements that one thread makes at a time: they stay in the first cache. Packed, they are whole bytes.
const CHUNK: usize = 1 << 11;

impl Words {
    /// Elements of Z_2^`bits`, each below 2^`bits`, in the form that takes least memory. `write(first, out)` writes
    /// the elements from the `first` on; threads write different ones. What lies above the ring is nothing to it.
    pub fn filled(len: usize, bits: u32, write: impl Fn(usize, &mut [u64]) + Sync) -> Words {
        let Form::Packed(bits) = Form::of_ring(bits) else { return Words::in_words(len, bits, write) };
        let mut packed = Packed::zeros(len, bits);
        packed.chunks(CHUNK).enumerate().for_each(|(i, chunk)| {
            let mut words = [0; CHUNK];
            let words = &mut words[..CHUNK.min(len - i * CHUNK)];
            write(i * CHUNK, words);
            chunk.write(words);
        });
        Words::Packed(packed)
    }

    /// The same in whole words, of 32 bits or of 64: for what is soon read, and then gone.
    pub fn in_words(len: usize, bits: u32, write: impl Fn(usize, &mut [u64]) + Sync) -> Words {
        if bits > 32 {
            let (mut out, mask) = (vec![0; len], u64::MAX >> (64 - bits.min(64)));
            out.par_chunks_mut(CHUNK).enumerate().for_each(|(i, out)| {
                write(i * CHUNK, out);
                out.iter_mut().for_each(|word| *word &= mask);
            });
            return Words::Wide(out);
        }
        let (mut out, mask) = (vec![0; len], if bits == 0 { 0 } else { u32::MAX >> (32 - bits) });
        out.par_chunks_mut(CHUNK).enumerate().for_each(|(i, out)| {
            let mut words = [0; CHUNK];
            let words = &mut words[..out.len()];
            write(i * CHUNK, words);
            out.iter_mut().zip(words).for_each(|(out, word)| *out = *word as u32 & mask);
        });
        Words::Narrow(out)
    }

    /// These elements of Z_2^`bits`, in the form that takes least memory.
    pub fn of_ring(words: &[u64], bits: u32) -> Words {
        Words::filled(words.len(), bits, |first, out| out.copy_from_slice(&words[first..][..out.len()]))
    }

    /// Bytes that so many elements of Z_2^`bits` take in that form, at most what a number holds.
    pub fn bytes(len: usize, bits: u32) -> usize {
        Form::of_ring(bits).bytes(len).unwrap_or(usize::MAX)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.borrowed().len()
    }

    /// True where there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// To be read.
    pub fn borrowed(&self) -> Elements<'_> {
        match self {
            Words::Wide(words) => Elements::Wide(words),
            Words::Narrow(words) => Elements::Narrow(words),
            Words::Packed(packed) => Elements::Packed(packed.borrowed()),
            Words::Common(place) => place.borrowed(),
        }
    }
}

impl From<Vec<u64>> for Words {
    fn from(words: Vec<u64>) -> Words {
        Words::Wide(words)
    }
}

/// [`Words`], borrowed.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// Rings of up to 64 bits.
    Wide(&'a [u64]),
    /// Rings of up to 32 bits.
    Narrow(&'a [u32]),
    /// Rings of some bits between the two.
    Packed(Bits<'a>),
    /// Any ring: they lie nowhere.
    Drawn(Drawn<'a>),
}

impl<'a> Elements<'a> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Elements::Wide(words) => words.len(),
            Elements::Narrow(words) => words.len(),
            Elements::Packed(bits) => bits.len(),
            Elements::Drawn(drawn) => drawn.len(),
        }
    }

    /// True where there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bits that each element has, at most: products are right modulo no larger ring.
    pub fn bits(&self) -> u32 {
        match self {
            Elements::Wide(_) => u64::BITS,
            Elements::Narrow(_) => u32::BITS,
            Elements::Packed(bits) => bits.each(),
            Elements::Drawn(drawn) => drawn.each(),
        }
    }

    /// The same in words of 64 bits, copied where they are not.
    pub fn widened(&self) -> Cow<'a, [u64]> {
        if let Elements::Wide(words) = self {
            return Cow::Borrowed(words);
        }
        let mut words = vec![0; self.len()];
        self.copy_to(0, &mut words);
        Cow::Owned(words)
    }

    /// All from the `first` on.
    pub(crate) fn from(&self, first: usize) -> Elements<'a> {
        match self {
            Elements::Wide(words) => Elements::Wide(&words[first..]),
            Elements::Narrow(words) => Elements::Narrow(&words[first..]),
            Elements::Packed(bits) => Elements::Packed(bits.from(first)),
            Elements::Drawn(drawn) => Elements::Drawn(drawn.from(first)),
        }
    }

    /// Copies the elements from the `first` on.
    pub(crate) fn copy_to(&self, first: usize, out: &mut [u64]) {
        match self {
            Elements::Wide(words) => out.copy_from_slice(&words[first..][..out.len()]),
            Elements::Narrow(words) => {
                let words = &words[first..][..out.len()];
                out.iter_mut().zip(words).for_each(|(out, &word)| *out = word.into());
            }
            Elements::Packed(bits) => bits.read(first, out),
            Elements::Drawn(drawn) => drawn.read(first, out),
        }
    }
}

impl<'a> From<&'a [u64]> for Elements<'a> {
    fn from(words: &'a [u64]) -> Elements<'a> {
        Elements::Wide(words)
    }
}

impl<'a> From<&'a Vec<u64>> for Elements<'a> {
    fn from(words: &'a Vec<u64>) -> Elements<'a> {
        Elements::Wide(words)
    }
}

impl<'a> From<Drawn<'a>> for Elements<'a> {
    fn from(drawn: Drawn<'a>) -> Elements<'a> {
        Elements::Drawn(drawn)
    }
}

impl<'a> From<&'a Words> for Elements<'a> {
    fn from(words: &'a Words) -> Elements<'a> {
        words.borrowed()
    }
}
