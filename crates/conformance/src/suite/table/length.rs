//! Every operation on many lengths, none and one among them.

use cryptflow_operation::{Combine, Compare, MaxPool, Operation, Product, SumPool};
use cryptflow_ring::{LinearMap, Movement};

use super::super::problem::{Problem, clipped_relu, relu, scale_public};
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
    p.linear(vec![(map, rows, w)], None, 12);
    p.step(scale_public(&[13], 3), &[x]);
    p.step(Operation::Combine(Combine { factors: vec![1, -1], offsets: vec![2, 3] }), &[x]);
    p.step(Operation::Compare(Compare { thresholds: vec![0], compare_bits, skipped: 0 }), &[x]);
    if n <= 1 << 15 {
        let thresholds = vec![-(limit / 2), 0, limit / 2];
        p.step(Operation::Compare(Compare { thresholds, compare_bits, skipped: 0 }), &[x]);
    }
    if n > 0 {
        let small = p.step(scale_public(&[1], bits / 3), &[y]);
        let small = p.step(Operation::Widen, &[small]);
        let map = LinearMap::Scale { rows: 1, channels: n };
        p.step(Operation::Product(Product { map, shift: 4 }), &[small, small]);
    }
    let (a, b) = (p.narrow(x, bits), p.narrow(y, bits));
    p.step(Operation::Widen, &[a]);
    p.step(relu(compare_bits, true), &[a]);
    p.step(relu(compare_bits, false), &[b]);
    p.step(clipped_relu((limit / 2) as u64 + 1, compare_bits, true), &[a]);
    let pair = p.movement(Movement::Concat { axis: 0 }, vec![(vec![1, n], a), (vec![1, n], b)]);
    let two = window([2, 1], [1, 1], [1, 1], NONE);
    p.step(
        Operation::MaxPool(MaxPool { input: [1, 2, 1, n], window: two, compare_bits, skipped: 0 }),
        &[pair],
    );
    let one = window([1, 1], [1, 1], [1, 1], NONE);
    p.step(Operation::SumPool(SumPool { input: [n, 1, 1, 1], window: one }), &[x]);
    p.step(Operation::Add, &[a, b]);
    p.step(Operation::Sub, &[a, y]);
    p
}
