//! Linear maps of every geometry, over rings and shifts, and sums at the ends of a truncation's
//! range.

use cryptflow_ring::{Conv2d, LinearMap};

use super::super::generate::Random;
use super::super::problem::{Problem, scale_public};
use super::{Make, RINGS, SHIFTS, window};

/// Kernel, stride, dilation, padding, as in [`window`].
type Taps = ([usize; 2], [usize; 2], [usize; 2], [[usize; 2]; 2]);

fn conv(batch: usize, input: [usize; 2], channels: [usize; 2], groups: usize, taps: Taps) -> LinearMap {
    LinearMap::Conv2d(Conv2d {
        batch,
        input,
        in_channels: channels[0],
        out_channels: channels[1],
        groups,
        window: window(taps.0, taps.1, taps.2, taps.3),
    })
}

const NONE: [[usize; 2]; 2] = [[0; 2]; 2];
const ONE: [[usize; 2]; 2] = [[1; 2]; 2];

fn maps() -> Vec<(&'static str, LinearMap)> {
    let matmul = |rows, inner, columns| LinearMap::MatMul { rows, inner, columns };
    vec![
        ("matmul 1x1x1", matmul(1, 1, 1)),
        ("matmul 1x784x10", matmul(1, 784, 10)),
        ("matmul 7x1x3", matmul(7, 1, 3)),
        ("matmul 5x33x17", matmul(5, 33, 17)),
        ("scale", LinearMap::Scale { rows: 9, channels: 5 }),
        ("scale, one channel", LinearMap::Scale { rows: 67, channels: 1 }),
        ("conv 1x1", conv(1, [5, 4], [3, 6], 1, ([1, 1], [1, 1], [1, 1], NONE))),
        ("conv 1x1 stride 2", conv(1, [7, 7], [4, 3], 1, ([1, 1], [2, 2], [1, 1], NONE))),
        ("conv 3x3 same", conv(1, [6, 5], [3, 4], 1, ([3, 3], [1, 1], [1, 1], ONE))),
        ("conv 3x3 valid", conv(1, [6, 5], [3, 4], 1, ([3, 3], [1, 1], [1, 1], NONE))),
        ("conv 3x3 stride 2, uneven", conv(1, [8, 8], [2, 3], 1, ([3, 3], [2, 2], [1, 1], [[0, 1], [0, 1]]))),
        ("conv 7x7 stride 2", conv(1, [14, 14], [3, 2], 1, ([7, 7], [2, 2], [1, 1], [[3, 3], [3, 3]]))),
        ("conv 5x5 stride 3", conv(1, [11, 9], [1, 5], 1, ([5, 5], [3, 3], [1, 1], [[2, 1], [1, 2]]))),
        ("conv 1x7", conv(1, [4, 9], [2, 2], 1, ([1, 7], [1, 1], [1, 1], [[0, 0], [3, 3]]))),
        ("conv dilated", conv(1, [9, 8], [2, 3], 1, ([3, 3], [1, 1], [2, 3], [[2, 2], [3, 3]]))),
        ("conv stride and dilation", conv(1, [9, 12], [2, 2], 1, ([2, 3], [2, 1], [3, 2], [[1, 0], [0, 2]]))),
        ("conv groups", conv(1, [5, 5], [6, 4], 2, ([3, 3], [1, 1], [1, 1], ONE))),
        ("conv depth-wise", conv(1, [6, 6], [5, 5], 5, ([3, 3], [1, 1], [1, 1], ONE))),
        ("conv depth-wise, multiplier 3", conv(1, [7, 7], [2, 6], 2, ([3, 3], [2, 2], [1, 1], ONE))),
        ("conv batch 3", conv(3, [4, 4], [2, 3], 1, ([3, 3], [1, 1], [1, 1], ONE))),
        ("conv of one pixel", conv(1, [1, 1], [8, 8], 1, ([3, 3], [1, 1], [1, 1], ONE))),
    ]
}

/// Bounds of x and w so that no sum of `terms` products exceeds `limit`.
fn operands(limit: i64, terms: usize) -> (i64, i64) {
    let each = (limit / terms.max(1) as i64).max(1);
    let w = ((each as f64).sqrt() as i64).clamp(1, 1 << 14);
    ((each / w).max(1), w)
}

fn term(
    p: &mut Problem,
    random: &mut Random,
    map: &LinearMap,
    x: usize,
    limit: i64,
) -> (LinearMap, usize, usize) {
    let (_, w) = operands(limit, map.terms());
    let w = p.weight(random.edgy(map.weight_len(), -w, w));
    (map.clone(), x, w)
}

fn one_map(make: Make<'_>, name: &str, map: &LinearMap, ring_bits: u32, shift: u32, bias: bool) -> Problem {
    let with = if bias { ", bias" } else { "" };
    let (mut p, mut random) = make.problem(&format!("{name}, shift {shift}{with}"), ring_bits);
    let (low, high) = make.sums(map.output_len(), ring_bits, shift);
    let limit = high.min(-low) / 2;
    let (x, _) = operands(limit, map.terms());
    let x = p.input(random.edgy(map.input_len(), -x, x));
    let terms = vec![term(&mut p, &mut random, map, x, limit)];
    let bias = bias.then(|| p.weight(random.edgy(map.out_channels(), -limit, limit)));
    p.linear(terms, bias, shift);
    p
}

pub(super) fn problems(make: Make<'_>) -> Vec<Problem> {
    let mut all = Vec::new();
    for (name, map) in maps() {
        for bias in [false, true] {
            all.push(one_map(make, name, &map, 64, 12, bias));
        }
    }
    for ring_bits in RINGS {
        all.push(exact_constant(make, ring_bits));
        all.push(own_rings(make, ring_bits));
        for shift in SHIFTS {
            for (i, (name, map)) in maps().into_iter().enumerate() {
                if i % 5 == 3 {
                    all.push(one_map(make, name, &map, ring_bits, shift, i % 2 == 0));
                }
            }
            all.push(at_the_bounds(make, ring_bits, shift));
            all.push(only_bias(make, ring_bits, shift));
            all.push(constant(make, ring_bits, shift));
            all.push(several_terms(make, ring_bits, shift));
            all.extend(public_factors(make, ring_bits, shift));
        }
    }
    all
}

/// Sums that are exactly the first and the last for which a truncation is exact, of one term or
/// three.
fn at_the_bounds(make: Make<'_>, ring_bits: u32, shift: u32) -> Problem {
    let (mut p, mut random) = make.problem(&format!("sums at the bounds, shift {shift}"), ring_bits);
    let n = 400;
    let (low, high) = make.sums(2 * n, ring_bits, shift);
    let sums = random.edgy(n, low, high);
    let parts: Vec<i64> = sums.iter().flat_map(|&z| [z / 2, z / 3, z - z / 2 - z / 3]).collect();
    let (x, parts) = (p.input(sums), p.input(parts));
    let (one, ones) = (p.weight(vec![1]), p.weight(vec![1, 1, 1]));
    let single = LinearMap::MatMul { rows: n, inner: 1, columns: 1 };
    let triple = LinearMap::MatMul { rows: n, inner: 3, columns: 1 };
    p.linear(vec![(single, x, one)], None, shift);
    p.linear(vec![(triple, parts, ones)], None, shift);
    p
}

/// x = 0: what is left is the bias, once and at its own scale.
fn only_bias(make: Make<'_>, ring_bits: u32, shift: u32) -> Problem {
    let (mut p, mut random) = make.problem(&format!("only a bias, shift {shift}"), ring_bits);
    let (low, high) = make.sums(30, ring_bits, shift);
    let x = p.input(vec![0; 6]);
    let (w, bias) = (p.weight(random.uniform(20, 1000)), p.weight(random.edgy(10, low, high)));
    let map = LinearMap::MatMul { rows: 3, inner: 2, columns: 10 };
    p.linear(vec![(map, x, w)], Some(bias), shift);
    p
}

/// No term at all: a constant, from the first to the last that a truncation is exact for.
fn constant(make: Make<'_>, ring_bits: u32, shift: u32) -> Problem {
    let (mut p, mut random) = make.problem(&format!("a constant, shift {shift}"), ring_bits);
    let (low, high) = make.sums(200, ring_bits, shift);
    let bias = p.weight(random.edgy(200, low, high));
    p.linear(vec![], Some(bias), shift);
    p
}

/// A constant that is not shifted: the one linear operation that does not round, from the first to
/// the last that fits a ring of one bit less.
fn exact_constant(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, mut random) = make.problem("a constant, no shift", ring_bits);
    let quarter = 1i64 << (ring_bits - 2);
    let bias = p.weight(random.edgy(200, -quarter + 1, quarter - 4));
    p.linear(vec![], Some(bias), 0);
    p
}

/// Weights that are used in smaller rings than that of the program, each in its own; a bias from the first to the last
/// that the smaller ring holds; one weight in both.
fn own_rings(make: Make<'_>, ring_bits: u32) -> Problem {
    let shift = 3;
    let (mut p, mut random) = make.problem("weights in rings of their own", ring_bits);
    let rings = [ring_bits - 1, ring_bits - ring_bits / 4];
    let (low, high) = make.sums(400, rings[1], shift);
    let limit = high.min(-low) / 2;
    let (x, w) = operands(limit, 3);
    let nothing = p.input(vec![0; 6]);
    let x = p.input(random.edgy(6, -x, x));
    let map = LinearMap::MatMul { rows: 2, inner: 3, columns: 100 };
    let shared = p.weight(random.edgy(300, -w, w));
    for ring in rings {
        let (low, high) = make.sums(200, ring, shift);
        let (nothing, x) = (p.narrow(nothing, ring), p.narrow(x, ring));
        let (own, bias) = (p.weight(random.edgy(300, -w, w)), p.weight(random.edgy(100, low, high)));
        p.linear(vec![(map.clone(), nothing, own)], Some(bias), shift);
        let small = p.weight(random.edgy(100, -limit, limit));
        p.linear(vec![(map.clone(), x, own)], Some(small), shift);
        p.linear(vec![(map.clone(), x, shared)], None, shift);
    }
    p
}

/// A convolution, a shortcut convolution with stride 2, a channel-wise scale and a bias, truncated
/// once.
fn several_terms(make: Make<'_>, ring_bits: u32, shift: u32) -> Problem {
    let (mut p, mut random) = make.problem(&format!("conv + shortcut + scale, shift {shift}"), ring_bits);
    let maps = [
        conv(1, [4, 3], [3, 4], 1, ([3, 3], [1, 1], [1, 1], ONE)),
        conv(1, [8, 5], [2, 4], 1, ([1, 1], [2, 2], [1, 1], NONE)),
        LinearMap::Scale { rows: 12, channels: 4 },
    ];
    let (low, high) = make.sums(48, ring_bits, shift);
    let limit = high.min(-low) / 4;
    let mut inputs = Vec::new();
    for map in &maps {
        let (x, _) = operands(limit, map.terms());
        inputs.push(p.input(random.edgy(map.input_len(), -x, x)));
    }
    let terms = maps.iter().zip(inputs).map(|(map, x)| term(&mut p, &mut random, map, x, limit)).collect();
    let bias = p.weight(random.edgy(4, -limit, limit));
    p.linear(terms, Some(bias), shift);
    p
}

/// Public factors: odd, even, negative, one for all or one for each channel; products at both
/// bounds.
fn public_factors(make: Make<'_>, ring_bits: u32, shift: u32) -> Vec<Problem> {
    let unit = 1i64 << shift;
    let factors: [(&str, Vec<i64>); 7] = [
        ("1", vec![1]),
        ("3", vec![3]),
        ("a unit", vec![unit]),
        ("minus a unit", vec![-unit]),
        ("an average of 49", vec![unit / 49 + 1]),
        ("0", vec![0]),
        ("by channel", vec![1, -1, 5, -7, unit, unit - 1, unit / 2, -unit - 1]),
    ];
    let problem = |(name, factors): (&str, Vec<i64>)| {
        let (mut p, mut random) = make.problem(&format!("public factor {name}, shift {shift}"), ring_bits);
        let n = 512;
        let (low, high) = make.products(n, ring_bits, shift);
        let largest = factors.iter().map(|c| c.abs()).max().unwrap_or(1).max(1);
        // Where a factor is negative, the bounds change places.
        let symmetric = high.min(low.saturating_neg());
        let (low, high) = if factors.iter().any(|&c| c < 0) { (-symmetric, symmetric) } else { (low, high) };
        let x = p.input(random.edgy(n, low / largest, high / largest));
        p.step(scale_public(&factors, shift), &[x]);
        p
    };
    factors.into_iter().map(problem).collect()
}
