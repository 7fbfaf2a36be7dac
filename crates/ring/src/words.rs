//! [`Words`]: elements of a ring, in words no wider than it needs.

use std::borrow::Cow;

use crate::common::Place;

/// Elements of a ring of at most 64 bits, in words of 32 bits where these hold it: half of the memory, and where a
/// product reads each of them once, half of the time.
#[derive(Clone, Debug)]
pub enum Words {
    /// Rings of up to 64 bits.
    Wide(Vec<u64>),
    /// Rings of up to 32 bits.
    Narrow(Vec<u32>),
    /// Either, in memory that other processes read, too.
    Common(Place),
}

impl Words {
    /// Elements of Z_2^`bits`, each below 2^`bits`.
    pub fn of_ring(words: Vec<u64>, bits: u32) -> Words {
        if bits > 32 {
            return Words::Wide(words);
        }
        // What lies above the ring is nothing to it.
        Words::Narrow(words.iter().map(|&word| word as u32).collect())
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
}

impl<'a> Elements<'a> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Elements::Wide(words) => words.len(),
            Elements::Narrow(words) => words.len(),
        }
    }

    /// True where there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same in words of 64 bits, copied where they are not.
    pub fn widened(&self) -> Cow<'a, [u64]> {
        match self {
            Elements::Wide(words) => Cow::Borrowed(words),
            Elements::Narrow(words) => Cow::Owned(words.iter().map(|&word| word.into()).collect()),
        }
    }

    /// All from the `first` on.
    pub(crate) fn from(&self, first: usize) -> Elements<'a> {
        match self {
            Elements::Wide(words) => Elements::Wide(&words[first..]),
            Elements::Narrow(words) => Elements::Narrow(&words[first..]),
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

impl<'a> From<&'a Words> for Elements<'a> {
    fn from(words: &'a Words) -> Elements<'a> {
        words.borrowed()
    }
}
