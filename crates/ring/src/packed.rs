//! [`Packed`]: a tensor whose elements have no more bits in memory than their ring has.
//!
//! Eight elements begin at a whole byte ([`crate::pack()`]), so that any stretch of them is read as fast as a
//! message is unpacked, but for the up to seven before it.

use rayon::prelude::*;

use crate::pack::{pack_into, packed_len, unpack};

/// Elements that begin at a whole byte together.
const GROUP: usize = 8;

/// Elements of a ring, each in as many bits.
#[derive(Clone, Debug)]
pub struct Packed {
    bytes: Vec<u8>,
    bits: u32,
    len: usize,
}

impl Packed {
    /// Bytes of so many elements; nothing where no memory holds them.
    pub(crate) fn bytes(len: usize, bits: u32) -> Option<usize> {
        let whole = (len / GROUP).checked_mul(bits as usize)?;
        whole.checked_add(packed_len(len % GROUP, bits))
    }

    /// All of them zero. `bits` is one of 1 to 64.
    pub(crate) fn zeros(len: usize, bits: u32) -> Packed {
        Packed { bytes: vec![0; packed_len(len, bits)], bits, len }
    }

    /// So many elements at a time, a multiple of [`GROUP`], to be written.
    pub(crate) fn chunks(&mut self, elements: usize) -> impl IndexedParallelIterator<Item = Chunk<'_>> {
        debug_assert!(elements.is_multiple_of(GROUP));
        let bits = self.bits;
        let chunks = self.bytes.par_chunks_mut(elements / GROUP * bits as usize);
        chunks.map(move |bytes| Chunk { bytes, bits })
    }

    /// To be read.
    pub(crate) fn borrowed(&self) -> Bits<'_> {
        Bits { bytes: &self.bytes, bits: self.bits, first: 0, len: self.len }
    }
}

/// Some elements of a tensor.
pub(crate) struct Chunk<'a> {
    bytes: &'a mut [u8],
    bits: u32,
}

impl Chunk<'_> {
    /// Writes all of them.
    pub(crate) fn write(self, words: &[u64]) {
        pack_into(words, self.bits, self.bytes);
    }
}

/// [`Packed`], borrowed, or a part of it.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    bits: u32,
    /// The first element that is meant.
    first: usize,
    len: usize,
}

impl<'a> Bits<'a> {
    /// Elements that lie in these bytes, which are as many as they take.
    pub(crate) fn new(bytes: &'a [u8], bits: u32, len: usize) -> Bits<'a> {
        Bits { bytes, bits, first: 0, len }
    }

    /// All bytes, of a whole tensor.
    pub(crate) fn whole(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bits of each of them.
    pub(crate) fn each(&self) -> u32 {
        self.bits
    }

    /// All from the `first` on.
    pub(crate) fn from(self, first: usize) -> Bits<'a> {
        assert!(first <= self.len, "element {first} of {}", self.len);
        Bits { first: self.first + first, len: self.len - first, ..self }
    }

    /// Copies the elements from the `first` on.
    pub(crate) fn read(&self, first: usize, out: &mut [u64]) {
        assert!(out.len() <= self.len && first <= self.len - out.len(), "{} from {first} on", out.len());
        let at = self.first + first;
        let (group, before) = (at / GROUP * self.bits as usize, at % GROUP);
        if before == 0 {
            if !out.is_empty() {
                unpack(&self.bytes[group..], self.bits, out);
            }
            return;
        }
        let (head, rest) = out.split_at_mut(out.len().min(GROUP - before));
        let mut whole = [0; GROUP];
        let there = before + head.len();
        unpack(&self.bytes[group..], self.bits, &mut whole[..there]);
        head.copy_from_slice(&whole[before..there]);
        if !rest.is_empty() {
            unpack(&self.bytes[group + self.bits as usize..], self.bits, rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_stretch_is_read() {
        for bits in [33, 40, 43, 56] {
            let words: Vec<u64> = (1..60u64)
                .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & (u64::MAX >> (64 - bits)))
                .collect();
            let mut packed = Packed::zeros(words.len(), bits);
            packed
                .chunks(16)
                .enumerate()
                .for_each(|(i, chunk)| chunk.write(&words[i * 16..][..16.min(59 - i * 16)]));
            assert_eq!(Packed::bytes(words.len(), bits), Some(packed.bytes.len()));
            for begin in 0..=words.len() {
                let from = packed.borrowed().from(begin);
                for first in 0..=from.len() {
                    for len in 0..=from.len() - first {
                        let mut out = vec![0; len];
                        from.read(first, &mut out);
                        assert_eq!(
                            out,
                            words[begin + first..][..len],
                            "{len} from {begin} + {first}, {bits} bits"
                        );
                    }
                }
            }
        }
        assert_eq!(Packed::bytes(usize::MAX, 40), None);
    }
}
