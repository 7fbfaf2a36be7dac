//! Arithmetic modulo N = 2^64 − 1, in which a most significant bit is a least significant one: MSB(a) = LSB(2a).
//!
//! Elements are 0 to N − 1. Random words are taken as they come, with N for 0: the distance from uniform is 2^−64.

/// The element that a word stands for.
pub(crate) fn element(word: u64) -> u64 {
    if word == u64::MAX { 0 } else { word }
}

/// `a + b`.
pub(crate) fn add(a: u64, b: u64) -> u64 {
    let (sum, wrapped) = a.overflowing_add(b);
    element(sum.wrapping_add(u64::from(wrapped)))
}

/// `−a`.
pub(crate) fn negate(a: u64) -> u64 {
    element(!a)
}

/// `a − b`.
pub(crate) fn sub(a: u64, b: u64) -> u64 {
    add(a, negate(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_integers() {
        const N: u128 = u64::MAX as u128;
        let values =
            [0, 1, 2, 5, 1 << 31, 1 << 63, (1 << 63) - 1, u64::MAX / 2 + 7, u64::MAX - 2, u64::MAX - 1];
        for a in values {
            assert_eq!(u128::from(negate(a)), (N - u128::from(a)) % N);
            for b in values {
                assert_eq!(u128::from(add(a, b)), (u128::from(a) + u128::from(b)) % N, "{a} + {b}");
                assert_eq!(u128::from(sub(a, b)), (u128::from(a) + N - u128::from(b)) % N, "{a} - {b}");
            }
        }
        assert_eq!(element(u64::MAX), 0);
    }
}
