//! Products of two secret values.

use cryptflow_operation::{Operation, Product};
use cryptflow_ring::{LinearMap, Movement};

use super::super::problem::Problem;
use super::{Make, RINGS, SHIFTS};

fn maps() -> Vec<(&'static str, LinearMap)> {
    let batched = |batch, rows, inner, columns| LinearMap::BatchMatMul { batch, rows, inner, columns };
    vec![
        ("element by element", LinearMap::Scale { rows: 1, channels: 67 }),
        ("rows with one vector", LinearMap::Scale { rows: 9, channels: 5 }),
        ("matmul", LinearMap::MatMul { rows: 5, inner: 33, columns: 17 }),
        ("one by one", batched(1, 1, 1, 1)),
        ("scores of attention", batched(3, 7, 5, 7)),
        ("columns with one number each", batched(11, 6, 1, 1)),
        ("inner products", batched(13, 1, 9, 1)),
    ]
}

pub(super) fn problems(make: Make<'_>) -> Vec<Problem> {
    let mut all: Vec<Problem> = maps().iter().map(|(name, map)| of_map(make, name, map, 64, 12)).collect();
    for ring_bits in RINGS {
        for shift in SHIFTS {
            for (name, map) in maps().iter().skip(4).take(1) {
                all.push(of_map(make, name, map, ring_bits, shift));
            }
            all.push(at_the_bounds(make, ring_bits, shift));
            all.push(of_relatives(make, ring_bits, shift));
        }
    }
    for ring_bits in [64, 37] {
        all.push(many(make, ring_bits));
    }
    all
}

/// Bounds of x and y so that no sum of `terms` products exceeds `limit`.
fn operands(limit: i64, terms: usize) -> (i64, i64) {
    let each = (limit / terms.max(1) as i64).max(1);
    let y = ((each as f64).sqrt() as i64).max(1);
    ((each / y).max(1), y)
}

fn of_map(make: Make<'_>, name: &str, map: &LinearMap, ring_bits: u32, shift: u32) -> Problem {
    let (mut p, mut random) = make.problem(&format!("product of secrets, {name}, shift {shift}"), ring_bits);
    let (low, high) = make.sums(map.output_len(), ring_bits, shift);
    let (x, y) = operands(high.min(-low), map.terms());
    let x = p.input(random.edgy(map.input_len(), -x, x));
    let y = p.input(random.edgy(map.weight_len(), -y, y));
    p.step(Operation::Product(Product { map: map.clone(), shift }), &[x, y]);
    p
}

/// Products that are exactly the first and the last for which a truncation is exact.
fn at_the_bounds(make: Make<'_>, ring_bits: u32, shift: u32) -> Problem {
    let (mut p, mut random) = make.problem(&format!("products at the bounds, shift {shift}"), ring_bits);
    let n = 400;
    let (low, high) = make.sums(n, ring_bits, shift);
    let (x, ones) = (p.input(random.edgy(n, low, high)), p.input(vec![1; n]));
    let map = LinearMap::Scale { rows: 1, channels: n };
    p.step(Operation::Product(Product { map: map.clone(), shift }), &[x, ones]);
    p.step(Operation::Product(Product { map, shift }), &[ones, x]);
    p
}

/// A value with itself, with its copies, and with sums of which it is a part: their masks have to
/// do with each other.
fn of_relatives(make: Make<'_>, ring_bits: u32, shift: u32) -> Problem {
    let (mut p, mut random) = make.problem(&format!("squares and relatives, shift {shift}"), ring_bits);
    let n = 60;
    let (low, high) = make.sums(4 * n, ring_bits, shift);
    let limit = (((high.min(-low)) as f64).sqrt() as i64 / 4).max(1);
    let (x, y) = (p.input(random.edgy(n, -limit, limit)), p.input(random.edgy(n, -limit, limit)));
    let sum = p.step(Operation::Add, &[x, y]);
    let difference = p.step(Operation::Sub, &[x, y]);
    let copies = p.movement(Movement::Broadcast { shape: vec![1, n] }, vec![(vec![n], x)]);
    let map = LinearMap::Scale { rows: 1, channels: n };
    for (x, y) in [(x, x), (x, copies), (sum, x), (sum, difference), (difference, difference)] {
        p.step(Operation::Product(Product { map: map.clone(), shift }), &[x, y]);
    }
    p
}

/// So many that the mean error shows.
fn many(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, mut random) = make.problem("many products of secrets", ring_bits);
    let n = 50_000;
    let (low, high) = make.sums(2 * n, ring_bits, 12);
    let (x, y) = operands(high.min(-low), 1);
    let (x, y) = (p.input(random.edgy(n, -x, x)), p.input(random.edgy(n, -y, y)));
    let map = LinearMap::Scale { rows: 1, channels: n };
    p.step(Operation::Product(Product { map: map.clone(), shift: 12 }), &[x, y]);
    let small = if x == y { x } else { y };
    p.step(Operation::Product(Product { map, shift: 12 }), &[small, small]);
    p
}
