//! Truncation as published (from SecureML): each evaluator shifts its own share, and nothing is sent.
//!
//! For z = z0 + z1 mod 2^64 the result is ⌊z / 2^f⌋ or one more, and exact where 2^f divides z; its mean error is zero. With
//! probability |z| / 2^64 (over the shares) the shares wrap around otherwise than z, and the result is off by 2^(64 − f). The
//! number of elements, their size and their scale make this a property of a program: see [`failure_probability`].

use cryptflow_mpc::Party;

/// Shifts a share in place: P0's as a signed number, P1's negated, so that one rounds down and the other up.
pub(crate) fn truncate(party: Party, share: &mut [u64], shift: u32) {
    match party {
        Party::P0 => share.iter_mut().for_each(|v| *v = ((*v as i64) >> shift) as u64),
        Party::P1 => {
            share.iter_mut().for_each(|v| *v = (((v.wrapping_neg()) as i64) >> shift).wrapping_neg() as u64)
        }
        Party::P2 => {}
    }
}

/// An upper bound of the probability that any of `len` truncations fails, when no value before the shift is larger
/// than `largest` (which has twice the scale of the result).
pub fn failure_probability(len: u64, largest: u64) -> f64 {
    (len as f64 * largest as f64 / 2f64.powi(64)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Local truncation of z with P0's share s.
    fn truncated(z: i64, s: u64, shift: u32) -> i64 {
        let (mut a, mut b) = ([s], [(z as u64).wrapping_sub(s)]);
        truncate(Party::P0, &mut a, shift);
        truncate(Party::P1, &mut b, shift);
        a[0].wrapping_add(b[0]) as i64
    }

    #[test]
    fn is_down_or_up_and_exact_where_nothing_is_lost() {
        let mut state = 7u64;
        for z in [0, 1, -1, 2000, -2000, 4096, -4096, 5 << 12, -(9 << 12), (1 << 40) + 777, -(1 << 40) - 777]
        {
            let mut seen = [false; 2];
            for _ in 0..2000 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                // The |z| shares at which it fails are never met by chance.
                let result = truncated(z, state ^ (state >> 29), 12);
                let up = result - (z >> 12);
                assert!(up == 0 || up == 1, "{z} gives {result}");
                seen[up as usize] = true;
            }
            let lost = z.rem_euclid(4096);
            assert!(seen[0] || lost > 4000, "{z} is rounded down");
            assert!(seen[1] || lost < 500, "{z} is rounded up");
            assert!(lost != 0 || !seen[1], "{z} is exact");
        }
    }

    #[test]
    fn fails_for_as_many_shares_as_z_is_large() {
        let end = 1u64 << 63;
        for (z, first, last) in [(-5000, end - 5000, end - 1), (5000, end, end + 4999)] {
            let off = |s: u64| (truncated(z, s, 12) - (z >> 12)).abs() > 1;
            assert!(off(first) && off(last));
            assert!(!off(first - 1) && !off(last + 1));
        }
        assert!((failure_probability(1 << 20, 1 << 24) - 2f64.powi(-20)).abs() < 1e-12);
    }
}
