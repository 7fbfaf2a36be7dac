//! Every operation on a million random values that include the edges of every bound.

use cryptflow_operation::{Compare, MaxPool, Operation, SumPool};
use cryptflow_ring::{LinearMap, Movement};

use super::super::generate::Random;
use super::super::problem::{Problem, clipped_relu, relu, scale_public};
use super::{Make, both, signed_range, window};

const ROWS: usize = 1000;
const MILLION: usize = ROWS * ROWS;
const SHIFT: u32 = 12;
const NONE: [[usize; 2]; 2] = [[0; 2]; 2];

/// Makes the problem of one operation, over a ring.
type Row = fn(Make<'_>, u32) -> Problem;

pub(super) fn problems(make: Make<'_>) -> impl Iterator<Item = Problem> {
    const ALL: [Row; 10] = [
        products,
        sums_of_products,
        public_factors,
        widen,
        relus,
        relus_of_all_bits,
        clipped_relus,
        comparison,
        max_pool,
        placement,
    ];
    [64, 37].into_iter().flat_map(move |ring_bits| ALL.into_iter().map(move |row| row(make, ring_bits)))
}

fn begin(make: Make<'_>, name: &str, ring_bits: u32) -> (Problem, Random) {
    make.problem(&format!("a million: {name}"), ring_bits)
}

/// Sums of one product, from the first to the last that can be truncated.
fn products(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, mut random) = begin(make, "products", ring_bits);
    let (low, high) = make.sums(MILLION, ring_bits, SHIFT);
    let w: Vec<i64> =
        random.edgy(ROWS, -2048, 2048).into_iter().map(|w| if w == 0 { 1 } else { w }).collect();
    let z = random.edgy(MILLION, low, high);
    // z / w * w keeps the sign and does not grow.
    let x: Vec<i64> = z.iter().zip(w.iter().cycle()).map(|(z, w)| z / w).collect();
    let (x, w) = (p.input(x), p.weight(w));
    let map = LinearMap::Scale { rows: ROWS, channels: ROWS };
    p.linear(vec![(map, x, w)], None, SHIFT);
    p
}

/// A matrix product with a bias: sums of eight products.
fn sums_of_products(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, mut random) = begin(make, "sums of products", ring_bits);
    let (_, high) = make.sums(MILLION, ring_bits, SHIFT);
    let w = ((high / 16) as f64).sqrt().min(16384.0) as i64;
    let x = high / 16 / w.max(1);
    let (x, w) = (p.input(random.edgy(8 * ROWS, -x, x)), p.weight(random.edgy(8 * ROWS, -w, w)));
    let bias = p.weight(random.edgy(ROWS, -high / 2, high / 2));
    let map = LinearMap::MatMul { rows: ROWS, inner: 8, columns: ROWS };
    p.linear(vec![(map, x, w)], Some(bias), SHIFT);
    p
}

fn public_factors(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, mut random) = begin(make, "public factors", ring_bits);
    let factors = vec![1, -1, 3, 1 << SHIFT, 683, -(1 << SHIFT) + 1, 455, 84];
    let (low, high) = make.products(MILLION, ring_bits, SHIFT);
    let limit = high.min(low.saturating_neg()) >> SHIFT;
    let x = p.input(random.edgy(MILLION, -limit, limit));
    p.step(scale_public(&factors, SHIFT), &[x]);
    p
}

fn widen(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, mut random) = begin(make, "widen", ring_bits);
    let bits = ring_bits - SHIFT - 1;
    let limit = 1 << (bits - 2);
    let x = p.input(random.edgy(MILLION, -limit, limit));
    let x = p.narrow(x, bits);
    p.step(Operation::Widen, &[x]);
    p
}

/// A value between the bounds of a comparison, or of two with a limit between them: its number, the
/// bits, and the limit.
fn operand(
    make: Make<'_>,
    name: &str,
    ring_bits: u32,
    bits: u32,
    clipped: bool,
) -> (Problem, usize, u32, i64) {
    let (mut p, mut random) = begin(make, name, ring_bits);
    let narrow = ring_bits - SHIFT - 1;
    let compare_bits = make.compare_bits(bits.min(narrow));
    let (low, high) = both(signed_range(compare_bits), make.narrow_range(narrow, ring_bits));
    let limit = high / 3;
    let x = p.input(random.edgy(MILLION, if clipped { low + limit } else { low }, high));
    let x = p.narrow(x, narrow);
    (p, x, compare_bits, limit)
}

/// With two thresholds for each element, whose results lie one tensor after the other.
fn comparison(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, x, compare_bits, limit) = operand(make, "comparison", ring_bits, 24, true);
    p.step(Operation::Compare(Compare { thresholds: vec![0, limit], compare_bits, skipped: 0 }), &[x]);
    p
}

fn relus(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, x, compare_bits, _) = operand(make, "relu", ring_bits, 32, false);
    p.step(relu(compare_bits, true), &[x]);
    p
}

fn relus_of_all_bits(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, x, compare_bits, _) = operand(make, "relu of all bits", ring_bits, 64, false);
    p.step(relu(compare_bits, false), &[x]);
    p
}

fn clipped_relus(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, x, compare_bits, limit) = operand(make, "clipped relu", ring_bits, 24, true);
    p.step(clipped_relu(limit as u64, compare_bits, true), &[x]);
    p
}

/// Windows of four, of values as far apart as a comparison allows.
fn max_pool(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, mut random) = begin(make, "max pool", ring_bits);
    let bits = ring_bits - SHIFT - 1;
    let compare_bits = make.compare_bits(bits.min(40));
    let limit = (1 << (compare_bits - 2)) - 1;
    let x = p.input(random.edgy(MILLION, -limit, limit));
    let x = p.narrow(x, bits);
    let window = window([2, 2], [2, 2], [1, 1], NONE);
    p.step(Operation::MaxPool(MaxPool { input: [1, ROWS, ROWS, 1], window, compare_bits, skipped: 0 }), &[x]);
    p
}

fn placement(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, mut random) = begin(make, "sums and movements", ring_bits);
    let limit = 1 << (ring_bits - 4);
    let (x, y) = (p.input(random.edgy(MILLION, -limit, limit)), p.input(random.edgy(MILLION, -limit, limit)));
    let sum = p.step(Operation::Add, &[x, y]);
    p.step(Operation::Sub, &[sum, y]);
    let movement = Movement::Transpose { permutation: vec![1, 0] };
    p.movement(movement, vec![(vec![ROWS, ROWS], y)]);
    let window = window([2, 2], [1, 1], [1, 1], NONE);
    p.step(Operation::SumPool(SumPool { input: [1, ROWS, ROWS, 1], window }), &[x]);
    p
}
