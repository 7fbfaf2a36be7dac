//! The arithmetic of bits, at its edges and against its definitions.
#![allow(clippy::unwrap_used)]

use cryptflow_operation::bits::*;

#[test]
fn bits_at_the_edges() {
    // low, high, signed bits, ring bits, widen bits, difference bits
    let table: [(i64, i64, u32, u32, u32, u32); 11] = [
        (0, 0, 1, 1, 2, 1),
        (0, 1, 2, 2, 2, 2),
        (-1, 0, 1, 2, 2, 2),
        (0, 127, 8, 8, 9, 8),
        (0, 128, 9, 9, 9, 9),
        (-128, 127, 8, 9, 9, 9),
        (-129, 0, 9, 9, 10, 9),
        (-64, 64, 8, 8, 8, 9),
        (-65, 65, 8, 8, 9, 9),
        (i64::MIN, 0, 64, 65, 65, 65),
        (i64::MIN, i64::MAX, 64, 65, 65, 65),
    ];
    for (low, high, signed, ring, widen, difference) in table {
        assert_eq!(signed_bits(low, high), signed, "signed bits of {low}..{high}");
        assert_eq!(signed_bits_wide(low.into(), high.into()), signed, "wide signed bits of {low}..{high}");
        assert_eq!(ring_bits(low, high), ring, "ring bits of {low}..{high}");
        assert_eq!(widen_bits(low, high), widen, "widen bits of {low}..{high}");
        assert_eq!(difference_bits(low, high, 0), difference, "difference bits of {low}..{high}");
    }
}

#[test]
fn bits_agree_with_their_definitions() {
    for low in -70i64..=0 {
        for high in 0i64..=70 {
            let c = signed_bits(low, high);
            assert!(-(1 << (c - 1)) <= low && high < 1 << (c - 1));
            assert!(
                c == 1 || -(1 << (c - 2)) > low || high >= 1 << (c - 2),
                "{low} {high} need fewer than {c}"
            );
            let k = ring_bits(low, high);
            assert!(low.abs().max(high) <= largest(k) && (k == 1 || low.abs().max(high) > largest(k - 1)));
            let k = widen_bits(low, high);
            assert!(low.abs().max(high) <= 1 << (k - 2) && (k == 2 || low.abs().max(high) > 1 << (k - 3)));
            let limit = 48;
            let c = clipped_bits(low, high, limit, 0);
            assert_eq!(c, signed_bits(low, high).max(signed_bits(low - 48, high - 48)));
        }
    }
}

#[test]
fn rings_and_sums() {
    assert_eq!(linear_ring(64, 12), Some(51));
    assert_eq!(linear_ring(37, 12), Some(24));
    assert_eq!(linear_ring(12, 9), Some(2));
    assert_eq!(linear_ring(12, 10), None);
    assert_eq!(linear_ring(12, 70), None);
    assert_eq!(scale_public_ring(64, 12), Some(52));
    assert_eq!(scale_public_ring(12, 11), None);
    assert_eq!(largest(64), i64::MAX);
    assert_eq!(largest(8), 127);
    assert_eq!(largest_sum(8, 2), 64 - 6 - 1);
    assert_eq!(largest_sum(64, 12), (1 << 62) - 3 * (1 << 11) - 1);
    // A sum at the limit rounds, with an error of up to one unit, to what fits the narrow ring.
    for (ring, shift) in [(8u32, 1u32), (8, 2), (12, 4), (64, 12), (64, 30)] {
        let rounded = (largest_sum(ring, shift) + (1 << (shift - 1))) >> shift;
        let k = linear_ring(ring, shift).unwrap();
        assert!(rounded < i128::from(largest(k)), "K = {ring}, s = {shift}");
    }
}

/// x, r and their sum modulo 2^c, without the lowest s bits: as a comparison sees them.
#[test]
fn what_a_comparison_that_skips_bits_decides() {
    for (c, skipped) in [(5u32, 0u32), (5, 1), (5, 2), (6, 3), (6, 4)] {
        let (all, half) = (1i64 << c, 1i64 << (c - 1));
        let below = skipped_below(skipped);
        for x in -half + below..half {
            assert!(threshold_bits(x, x, &[0], skipped) <= c, "{x} fits {c} bits");
            let mut passed = 0;
            for r in 0..all {
                let m = (x - below + r).rem_euclid(all);
                let seen = ((m >> skipped) - (r >> skipped)).rem_euclid(all >> skipped);
                passed += i64::from(seen < half >> skipped);
            }
            // As often as a number from 0 to 2^s - 1 is no larger than x.
            let due = all * (x + 1).clamp(0, below + 1) / (below + 1);
            assert_eq!(passed, due, "{x} on {c} bits without {skipped}");
        }
        assert!(threshold_bits(-half, half - 1, &[0], skipped) == c + u32::from(skipped > 0));
    }
}
