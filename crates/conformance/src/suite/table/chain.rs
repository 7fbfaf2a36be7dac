//! Small programs, in which values and weights are used twice and results become operands.

use cryptflow_operation::{MaxPool, Operation, SumPool};
use cryptflow_ring::{Conv2d, LinearMap, Movement};

use super::super::problem::{Problem, clipped_relu, relu, scale_public};
use super::{Make, window};

/// Bits of the ring of inputs, of that to which values are widened, of the scale, of comparisons.
const WIDTHS: [[u32; 4]; 8] = [
    [64, 64, 12, 32],
    [64, 64, 12, 51],
    [63, 63, 15, 24],
    [48, 48, 10, 30],
    [37, 37, 12, 24],
    [64, 41, 12, 24],
    [48, 37, 10, 26],
    [37, 34, 12, 20],
];
const NONE: [[usize; 2]; 2] = [[0; 2]; 2];

pub(super) fn problems(make: Make<'_>) -> Vec<Problem> {
    WIDTHS.into_iter().map(|widths| residual_block(make, widths)).collect()
}

/// Two convolutions of one input, residual sums, ReLUs, maxima, an average and a product with a
/// public factor.
fn residual_block(make: Make<'_>, [ring_bits, ring, shift, compare_bits]: [u32; 4]) -> Problem {
    let name = format!("residual block, comparing {compare_bits}, widened to {ring}");
    let (mut p, mut random) = make.problem(&name, ring_bits);
    let conv = LinearMap::Conv2d(Conv2d {
        batch: 1,
        input: [6, 6],
        in_channels: 4,
        out_channels: 4,
        groups: 1,
        window: window([3, 3], [1, 1], [1, 1], [[1; 2]; 2]),
    });
    // |x| <= 4 units, |w| <= 1/16 of a unit, |bias| <= a unit: a sum grows by 36/16 a layer.
    let unit = 1i64 << shift;
    let x = p.input(random.edgy(144, -4 * unit, 4 * unit));
    let weights = [0; 2].map(|_| p.weight(random.uniform(144, unit / 16)));
    let bias = p.weight(random.uniform(4, unit << shift));
    let linear = |p: &mut Problem, x: usize, w: usize, bias: Option<usize>| {
        p.linear(vec![(conv.clone(), x, w)], bias, shift)
    };
    let left = linear(&mut p, x, weights[0], Some(bias));
    let right = linear(&mut p, x, weights[1], None);
    let sum = p.step(Operation::Add, &[left, right]);
    let active = p.step_to(relu(compare_bits, true), &[sum], ring);
    let deep = linear(&mut p, active, weights[0], Some(bias));
    let residual = p.step(Operation::Add, &[deep, active]);
    let again = p.step(relu(compare_bits, false), &[residual]);
    let input = [1, 6, 6, 4];
    let pool = window([2, 2], [2, 2], [1, 1], NONE);
    let largest =
        p.step(Operation::MaxPool(MaxPool { input, window: pool, compare_bits, skipped: 0 }), &[again]);
    let pool = window([3, 3], [2, 2], [1, 1], [[0, 1], [0, 1]]);
    let other =
        p.step(Operation::MaxPool(MaxPool { input, window: pool, compare_bits, skipped: 0 }), &[residual]);
    let joined = p
        .movement(Movement::Concat { axis: 3 }, vec![(vec![1, 3, 3, 4], largest), (vec![1, 3, 3, 4], other)]);
    let wide = p.step_to(Operation::Widen, &[joined], ring);
    let all = window([3, 3], [1, 1], [1, 1], NONE);
    let summed = p.step(Operation::SumPool(SumPool { input: [1, 3, 3, 8], window: all }), &[wide]);
    let average = p.step(scale_public(&[unit / 9], shift), &[summed]);
    p.step_to(clipped_relu(6 << shift, compare_bits, true), &[average], ring - shift / 2);
    p
}
