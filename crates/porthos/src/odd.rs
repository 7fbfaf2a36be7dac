//! Words of L bits: sums with their wraps, and arithmetic modulo N = 2^L − 1, in which a most
//! significant bit is a least significant one: MSB(a) = LSB(2a).
//!
//! L is 64 in every session. Tests take smaller words, over which they can enumerate what a party
//! sees.
//!
//! Elements modulo N are 0 to N − 1. Random words are taken as they come, with N for 0: the
//! distance from uniform is 2^−L.

use cryptflow_mpc::stream::Group;

/// Z_N, as a group of pads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Odd<const L: u32>;

impl<const L: u32> Group for Odd<L> {
    fn element(&self, word: u64) -> u64 {
        element::<L>(word & mask(L))
    }

    fn sum(&self, a: u64, b: u64) -> u64 {
        add::<L>(a, b)
    }

    fn difference(&self, a: u64, b: u64) -> u64 {
        sub::<L>(a, b)
    }
}

/// The low `bits` bits.
pub(crate) const fn mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// `a + b` modulo 2^L, and 1 if it wraps around.
pub(crate) fn add_with_wrap<const L: u32>(a: u64, b: u64) -> (u64, u64) {
    let (sum, wrapped) = a.overflowing_add(b);
    if L == 64 { (sum, u64::from(wrapped)) } else { (sum & mask(L), sum >> L) }
}

/// `a + b` modulo 2^L.
pub(crate) fn add_words<const L: u32>(a: u64, b: u64) -> u64 {
    a.wrapping_add(b) & mask(L)
}

/// `a − b` modulo 2^L.
pub(crate) fn sub_words<const L: u32>(a: u64, b: u64) -> u64 {
    a.wrapping_sub(b) & mask(L)
}

/// The element that a word stands for.
pub(crate) fn element<const L: u32>(word: u64) -> u64 {
    if word == mask(L) { 0 } else { word }
}

/// `a + b` modulo N.
pub(crate) fn add<const L: u32>(a: u64, b: u64) -> u64 {
    let (sum, wrapped) = add_with_wrap::<L>(a, b);
    element::<L>(sum.wrapping_add(wrapped))
}

/// `−a` modulo N.
pub(crate) fn negate<const L: u32>(a: u64) -> u64 {
    element::<L>(!a & mask(L))
}

/// `a − b` modulo N.
pub(crate) fn sub<const L: u32>(a: u64, b: u64) -> u64 {
    add::<L>(a, negate::<L>(b))
}
