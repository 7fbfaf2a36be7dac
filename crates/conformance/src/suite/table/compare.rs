//! Comparisons with public thresholds, and public combinations of what they give.

use super::super::problem::Problem;
use super::{Make, RINGS, both, signed_range};
use cryptflow_operation::{Combine, Compare, Operation, Product};

pub(super) fn problems(make: Make<'_>) -> Vec<Problem> {
    let mut all = Vec::new();
    for ring_bits in RINGS {
        let narrow = ring_bits - 13;
        for bits in [narrow, ring_bits] {
            for compare_bits in [2, 3, 9, 24, bits - 1, bits] {
                if compare_bits <= make.compare_bits(bits) {
                    all.push(thresholds(make, ring_bits, bits, compare_bits));
                }
            }
        }
        all.push(piecewise(make, ring_bits));
        all.push(combinations(make, ring_bits));
    }
    all
}

/// One threshold, and several: the bounds, zero, and values that x takes.
fn thresholds(make: Make<'_>, ring_bits: u32, bits: u32, compare_bits: u32) -> Problem {
    let (mut p, mut random) =
        make.problem(&format!("thresholds of {bits} bits, comparing {compare_bits}"), ring_bits);
    let (low, high) = both(signed_range(compare_bits), make.narrow_range(bits, ring_bits));
    // Every difference fits.
    let (low, high) = (low / 2, high / 2);
    let data = random.edgy(150, low, high);
    let seen = data.iter().copied().nth(77).unwrap_or(0);
    let x = p.input(data);
    let x = p.narrow(x, bits);
    p.step(Operation::Compare(Compare { thresholds: vec![0], compare_bits, skipped: 0 }), &[x]);
    let thresholds = vec![low, low + 1, 0, seen, high, high];
    p.step(Operation::Compare(Compare { thresholds, compare_bits, skipped: 0 }), &[x]);
    p
}

/// Bits that choose among public numbers, and a product with what they chose.
fn piecewise(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, mut random) = make.problem("a function in pieces", ring_bits);
    let n = 200;
    let x = p.input(random.edgy(n, -4000, 4000));
    let bits = p.step(
        Operation::Compare(Compare { thresholds: vec![-3000, -100, 0, 2500], compare_bits: 14, skipped: 0 }),
        &[x],
    );
    let factors = vec![1, 2, -3, 400, 0, 0, 100, -100];
    let chosen = p.step(Operation::Combine(Combine { factors, offsets: vec![-7, 5] }), &[bits]);
    let doubled = p.step(Operation::Combine(Combine { factors: vec![1, 1], offsets: vec![0, 9] }), &[x]);
    let map = cryptflow_ring::LinearMap::Scale { rows: 1, channels: 2 * n };
    p.step(Operation::Product(Product { map, shift: 3 }), &[chosen, doubled]);
    p
}

/// Of wide and of narrow values, which are combined up to the ends of their ring.
fn combinations(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, mut random) = make.problem("public combinations", ring_bits);
    let bits = ring_bits - 13;
    let limit = 1i64 << (bits - 5);
    let x = p.input(random.edgy(90, -limit, limit));
    let narrow = p.narrow(x, bits);
    for x in [x, narrow] {
        p.step(Operation::Combine(Combine { factors: vec![3], offsets: vec![-limit] }), &[x]);
        p.step(
            Operation::Combine(Combine {
                factors: vec![1, -1, 5, 0, 0, 0, -7, 0, 2],
                offsets: vec![0, limit, 1],
            }),
            &[x],
        );
        p.step(Operation::Combine(Combine { factors: vec![0, 0, 1], offsets: vec![limit] }), &[x]);
    }
    p
}
