//! Words of L bits: sums with their wraps, and arithmetic modulo N = 2^L − 1, in which a most
//! significant bit is a least significant one: MSB(a) = LSB(2a).
//!
//! L is 64 in every session. Tests take smaller words, over which they can enumerate what a party
//! sees.
//!
//! Elements modulo N are 0 to N − 1. Random words are taken as they come, with N for 0: the
//! distance from uniform is 2^−L.

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

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees<const L: u32>(values: &[u64]) {
        let n = u128::from(mask(L));
        for &a in values {
            assert_eq!(u128::from(negate::<L>(a)), (n - u128::from(a)) % n);
            for &b in values {
                let (wide_a, wide_b) = (u128::from(a), u128::from(b));
                assert_eq!(u128::from(add::<L>(a, b)), (wide_a + wide_b) % n, "{a} + {b}");
                assert_eq!(u128::from(sub::<L>(a, b)), (wide_a + n - wide_b) % n, "{a} - {b}");
                let (sum, wrapped) = add_with_wrap::<L>(a, b);
                assert_eq!(u128::from(sum) + (u128::from(wrapped) << L), wide_a + wide_b);
            }
        }
        assert_eq!(element::<L>(mask(L)), 0);
    }

    #[test]
    fn agrees_with_integers() {
        let half = u64::MAX / 2;
        agrees::<64>(&[0, 1, 2, 5, 1 << 31, 1 << 63, half, half + 7, u64::MAX - 2, u64::MAX - 1]);
        agrees::<3>(&[0, 1, 2, 3, 4, 5, 6]);
        agrees::<5>(&(0..31).collect::<Vec<_>>());
    }
}
