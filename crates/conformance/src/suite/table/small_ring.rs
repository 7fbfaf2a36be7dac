//! Rings of 4 and 5 bits in rings of 5 to 16: every value, under so many masks that most
//! combinations occur.

use super::super::problem::{Problem, relu};
use super::{Make, window};
use cryptflow_operation::{MaxPool, Operation};

/// How often each value is tried.
const MASKS: usize = 3000;

pub(super) fn problems(make: Make<'_>) -> Vec<Problem> {
    let mut all = Vec::new();
    for (bits, ring_bits) in [(4, 8), (5, 9), (4, 5), (5, 16)] {
        let half = 1i64 << (bits - 1);
        let values: Vec<i64> = (0..MASKS).flat_map(|_| -half..half).collect();
        all.push(relus(make, bits, ring_bits, &values));
        all.push(widen(make, bits, ring_bits, &values));
        for compare_bits in 2..=bits {
            all.push(maximum(make, bits, ring_bits, compare_bits));
        }
    }
    all
}

/// Every value of Z_2^bits, its ends included: as the sum of its halves.
fn relus(make: Make<'_>, bits: u32, ring_bits: u32, values: &[i64]) -> Problem {
    let (mut p, _) = make.problem(&format!("every relu of {bits} bits"), ring_bits);
    let (a, b) = (
        p.input(values.iter().map(|v| v / 2).collect()),
        p.input(values.iter().map(|v| v - v / 2).collect()),
    );
    let (a, b) = (p.narrow(a, bits), p.narrow(b, bits));
    let x = p.step(Operation::Add, &[a, b]);
    for widen in [false, true] {
        p.step(relu(bits, widen), &[x]);
    }
    p
}

fn widen(make: Make<'_>, bits: u32, ring_bits: u32, values: &[i64]) -> Problem {
    let (mut p, _) = make.problem(&format!("every widening and short comparison of {bits} bits"), ring_bits);
    let inside = |low: i64, high: i64| {
        values.iter().copied().filter(|v| (low..=high).contains(v)).collect::<Vec<i64>>()
    };
    let limit = 1i64 << (bits - 2);
    let widened = p.input(inside(-limit, limit));
    let compared: Vec<(u32, usize)> =
        (2..bits).map(|c| (c, p.input(inside(-(1 << (c - 1)), (1 << (c - 1)) - 1)))).collect();
    let x = p.narrow(widened, bits);
    p.step(Operation::Widen, &[x]);
    for (compare_bits, x) in compared {
        let x = p.narrow(x, bits);
        p.step(relu(compare_bits, true), &[x]);
    }
    p
}

/// The maximum of every pair whose difference fits.
fn maximum(make: Make<'_>, bits: u32, ring_bits: u32, compare_bits: u32) -> Problem {
    let (mut p, _) =
        make.problem(&format!("every maximum of {bits} bits, comparing {compare_bits}"), ring_bits);
    let (low, high) = make.narrow_range(bits, ring_bits);
    let spread = 1i64 << (compare_bits - 1);
    let pairs = (low..=high).flat_map(|a| (low..=high).map(move |b| [a, b]));
    let pairs: Vec<i64> = pairs.filter(|[a, b]| (a - b).abs() < spread).flatten().collect();
    let data = pairs.repeat(MASKS / 10);
    let rows = data.len() / 2;
    let x = p.input(data);
    let x = p.narrow(x, bits);
    let pair = window([1, 2], [1, 1], [1, 1], [[0; 2]; 2]);
    p.step(
        Operation::MaxPool(MaxPool { input: [rows, 1, 2, 1], window: pair, compare_bits, skipped: 0 }),
        &[x],
    );
    p
}
