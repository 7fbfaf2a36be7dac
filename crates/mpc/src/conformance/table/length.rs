//! Every operation on many lengths, none and one among them.

use cryptflow_ring::{LinearMap, Movement};

use super::super::problem::{Operation, Problem};
use super::{Make, window};

const LENGTHS: [usize; 9] = [0, 1, 63, 64, 65, 511, 512, 513, 100_000];
const NONE: [[usize; 2]; 2] = [[0; 2]; 2];

pub(super) fn problems(make: Make<'_>) -> impl Iterator<Item = Problem> {
    let around = make.traits.blocks.iter().flat_map(|&b| [b.saturating_sub(1), b, b + 1]);
    let mut lengths: Vec<usize> = LENGTHS.into_iter().chain(around).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let rings = [(64, 51, 32), (37, 24, 24)];
    rings.into_iter().flat_map(move |(ring_bits, bits, compare_bits)| {
        lengths.clone().into_iter().map(move |n| all_operations(make, n, ring_bits, bits, compare_bits))
    })
}

fn all_operations(make: Make<'_>, n: usize, ring_bits: u32, bits: u32, compare_bits: u32) -> Problem {
    let (mut p, mut random) = make.problem(&format!("{n} elements"), ring_bits);
    // Differences fit the comparison, and products with 15 fit everything.
    let (_, limit) = make.capped(16 * n, 0, 1 << (ring_bits - 20).min(compare_bits - 3));
    let (x, y) = (p.input(random.edgy(n, -limit, limit)), p.input(random.edgy(n, -limit, limit)));
    let rows = p.input(random.edgy(4 * n, -limit, limit));
    let w = p.weight(random.uniform(4, 4));
    let map = LinearMap::MatMul { rows: n, inner: 4, columns: 1 };
    p.step(Operation::Linear { terms: vec![(map, rows, w)], bias: None, shift: 12 });
    p.step(Operation::ScalePublic { x, factors: vec![13], shift: 3 });
    p.step(Operation::Combine { x, factors: vec![1, -1], offsets: vec![2, 3] });
    p.step(Operation::Compare { x, thresholds: vec![0], compare_bits });
    if n <= 1 << 15 {
        let thresholds = vec![-(limit / 2), 0, limit / 2];
        p.step(Operation::Compare { x, thresholds, compare_bits });
    }
    if n > 0 {
        let small = p.step(Operation::ScalePublic { x: y, factors: vec![1], shift: bits / 3 });
        let small = p.step(Operation::Widen { x: small });
        let map = LinearMap::Scale { rows: 1, channels: n };
        p.step(Operation::Product { map, x: small, y: small, shift: 4 });
    }
    let (a, b) = (p.narrow(x, bits), p.narrow(y, bits));
    p.step(Operation::Widen { x: a });
    p.step(Operation::Relu { x: a, compare_bits, widen: true });
    p.step(Operation::Relu { x: b, compare_bits, widen: false });
    p.step(Operation::ClippedRelu { x: a, limit: (limit / 2) as u64 + 1, compare_bits, widen: true });
    let pair = p.step(Operation::Movement {
        movement: Movement::Concat { axis: 0 },
        inputs: vec![(vec![1, n], a), (vec![1, n], b)],
    });
    let two = window([2, 1], [1, 1], [1, 1], NONE);
    p.step(Operation::MaxPool { x: pair, input: [1, 2, 1, n], window: two, compare_bits });
    let one = window([1, 1], [1, 1], [1, 1], NONE);
    p.step(Operation::SumPool { x, input: [n, 1, 1, 1], window: one });
    p.step(Operation::Add { x: a, y: b });
    p.step(Operation::Sub { x: a, y });
    p
}
