//! How many bits a value needs and how many it has: the arithmetic that decides, at compile time,
//! whether a program can be computed exactly.
//!
//! # The contract
//! A value's bounds hold the value *as it is computed*, rounding included: `low <= x <= high`. With
//! K the bits of the ring of the operands, which are wide where the result is narrow (the smallest
//! ring, where there are several), and W those of the ring that a step goes to which widens:
//!
//! | operation | ring of the result | what must hold |
//! |---|---|---|
//! | linear, shift s | narrow, k = K − s − 1 | the exact sum z fits doubled: [`largest_sum`]; so the result fits k bits |
//! | product, shift s | narrow, k = K − s − 1 | as of linear |
//! | compare | W | x − t − (2^s − 1) fits c signed bits for the first and the last t: [`threshold_bits`] <= c <= k |
//! | combine | its input's | the result fits it |
//! | scale public, shift s | narrow, k = K − s | z fits K bits with a unit to spare; so the result fits k bits |
//! | widen | W | \|x\| <= 2^(k−2): [`widen_bits`] <= k |
//! | ReLU | its input's, or W | x − (2^s − 1) fits c signed bits, and x: [`threshold_bits`] <= c <= k |
//! | clipped ReLU | its input's, or W | x − (2^s − 1) and x − limit fit c signed bits: [`clipped_bits`] <= c <= k |
//! | max pool | its input's | a difference of two elements, less 2^s − 1, fits c signed bits: [`difference_bits`] <= c <= k |
//! | sum pool | its input's | the result fits K bits |
//! | add, sub, movement | the smallest of its inputs' | the result fits it |
//!
//! s is the number of the lowest bits that a comparison skips, and c >= s + 2.
//!
//! Every value fits its ring symmetrically: |x| <= 2^(k−1) − 1. The widths are Mirror's, where a
//! truncation costs one bit more than it shifts out; a protocol with one ring has bits to spare.

/// The smallest number of bits that a comparison may look at.
pub const SMALLEST_COMPARISON: u32 = 2;

/// What a comparison looks at: so many low bits of a difference, but for the lowest of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    /// Bits of the difference, its sign included.
    pub bits: u32,
    /// The lowest of these, which it does not look at.
    pub skipped: u32,
}

impl Looks {
    /// At all of so many bits.
    pub const fn at_all(bits: u32) -> Looks {
        Looks { bits, skipped: 0 }
    }

    /// What it takes from a difference first: [`skipped_below`].
    pub const fn below(self) -> i64 {
        skipped_below(self.skipped)
    }

    /// Bits that are compared, without the sign; none where too few are left.
    pub fn compared(self) -> Option<u32> {
        self.bits.checked_sub(self.skipped)?.checked_sub(1).filter(|&bits| bits > 0)
    }
}

/// The smallest number of bits that a comparison may have which skips the lowest of them.
pub const fn smallest_comparison(skipped: u32) -> u32 {
    SMALLEST_COMPARISON.saturating_add(skipped)
}

/// The smallest limit of a clipped ReLU whose comparisons skip so many bits: what is close to zero is not close to the limit.
pub const fn smallest_limit(skipped: u32) -> u64 {
    if skipped == 0 {
        1
    } else if skipped >= u64::BITS - 2 {
        u64::MAX
    } else {
        2 << skipped
    }
}

/// What a comparison that skips the lowest bits takes from a difference first, so that none below zero passes.
pub const fn skipped_below(skipped: u32) -> i64 {
    if skipped >= i64::BITS - 1 { i64::MAX } else { (1 << skipped) - 1 }
}

/// Bits of the ring that a linear operation leaves after shifting out `shift` bits; none if nothing
/// remains.
pub fn linear_ring(ring_bits: u32, shift: u32) -> Option<u32> {
    ring_bits.checked_sub(shift)?.checked_sub(1).filter(|&k| k >= SMALLEST_COMPARISON)
}

/// Bits of the ring that a multiplication by public factors leaves; none if nothing remains.
pub fn scale_public_ring(ring_bits: u32, shift: u32) -> Option<u32> {
    ring_bits.checked_sub(shift).filter(|&k| k >= SMALLEST_COMPARISON)
}

/// The largest integer that fits a ring of so many bits together with its negative: `2^(bits−1) −
/// 1`, for 1 to 64 bits.
pub fn largest(bits: u32) -> i64 {
    i64::MAX >> (64 - bits.clamp(1, 64))
}

/// The largest |z|, z the exact sum of a linear operation before the shift, whose rounded result is
/// right: `2^(K−2) − 3·2^(s−1) − 1`. Negative where no sum fits.
pub fn largest_sum(ring_bits: u32, shift: u32) -> i128 {
    (1i128 << ring_bits.clamp(2, 64).saturating_sub(2)) - 3 * (1i128 << shift.clamp(1, 64) >> 1) - 1
}

/// Signed bits that both bounds need: the smallest c with `−2^(c−1) <= low` and `high < 2^(c−1)`.
pub fn signed_bits(low: i64, high: i64) -> u32 {
    let one = |x: i64| 65 - (if x < 0 { !x } else { x }).leading_zeros();
    one(low).max(one(high))
}

/// The same for wider integers, such as sums before a shift.
pub fn signed_bits_wide(low: i128, high: i128) -> u32 {
    let one = |x: i128| 129 - (if x < 0 { !x } else { x }).leading_zeros();
    one(low).max(one(high))
}

/// Signed bits that a ring needs to hold both bounds: as [`signed_bits`], but without the lowest
/// negative number.
pub fn ring_bits(low: i64, high: i64) -> u32 {
    let one = |x: u64| 65 - x.leading_zeros();
    one(low.unsigned_abs()).max(one(high.unsigned_abs()))
}

/// Bits of the narrow ring that [`crate::Operation::Widen`] needs: the smallest k with `|x| <=
/// 2^(k−2)`.
pub fn widen_bits(low: i64, high: i64) -> u32 {
    let largest = low.unsigned_abs().max(high.unsigned_abs());
    2 + largest.max(1).checked_sub(1).map_or(0, |x| 64 - x.leading_zeros())
}

/// Signed bits that a clipped ReLU's comparisons need which skip so many: of x − (2^s − 1) and of x − limit.
pub fn clipped_bits(low: i64, high: i64, limit: u64, skipped: u32) -> u32 {
    let most = i128::from(limit).max(skipped_below(skipped).into());
    signed_bits_wide(i128::from(low) - most, i128::from(high))
}

/// Signed bits that comparisons of such a value with these thresholds need which skip so many.
pub fn threshold_bits(low: i64, high: i64, thresholds: &[i64], skipped: u32) -> u32 {
    let least = thresholds.iter().copied().min().unwrap_or(0);
    let most = thresholds.iter().copied().max().unwrap_or(0);
    let moved = i128::from(most) + i128::from(skipped_below(skipped));
    signed_bits_wide(i128::from(low) - moved, i128::from(high) - i128::from(least))
}

/// Signed bits that comparisons of any two values within the bounds need which skip so many.
pub fn difference_bits(low: i64, high: i64, skipped: u32) -> u32 {
    let difference = i128::from(high) - i128::from(low);
    signed_bits_wide(-difference - i128::from(skipped_below(skipped)), difference)
}
