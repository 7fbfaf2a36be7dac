//! Comparisons that do not look at their lowest bits, at both bounds and close to where they decide.

use super::super::problem::Problem;
use super::{Make, both, signed_range, window};
use cryptflow_operation::bits::{skipped_below, smallest_limit};
use cryptflow_operation::{Activation, Compare, MaxPool, Operation, Rectifier};

/// Bits of the ring of wide values, of the value's ring, of the comparison, and those that it skips.
const WIDTHS: [[u32; 4]; 10] = [
    [64, 51, 32, 1],
    [64, 51, 32, 7],
    [64, 51, 22, 18],
    [64, 64, 64, 30],
    [48, 24, 19, 6],
    [37, 24, 24, 5],
    [37, 20, 19, 12],
    [16, 8, 8, 3],
    [9, 5, 5, 2],
    [9, 5, 4, 1],
];

/// How often each value close to a threshold is tried.
const MASKS: usize = 40;

pub(super) fn problems(make: Make<'_>) -> Vec<Problem> {
    WIDTHS.into_iter().flat_map(|widths| [rectifiers(make, widths), maxima(make, widths)]).collect()
}

/// ReLU, clipped ReLU and thresholds.
fn rectifiers(make: Make<'_>, [ring_bits, bits, compare_bits, skipped]: [u32; 4]) -> Problem {
    let compare_bits = make.compare_bits(compare_bits);
    let name = format!("comparisons of {bits} bits, looking at {compare_bits} without {skipped}");
    let (mut p, mut random) = make.problem(&name, ring_bits);
    let below = skipped_below(skipped);
    let (low, high) = both(signed_range(compare_bits), make.narrow_range(bits, ring_bits));
    // What is taken from a difference first must fit as well, and x − limit.
    let (low, limit) = (low.saturating_add(below.min(high)), (high / 3).max(smallest_limit(skipped) as i64));
    let close = |at: i64| (at - 2 * below..=at + 2 * below).step_by((below / 64 + 1) as usize);
    let mut around = |at: i64, low: i64| {
        let mut data = random.edgy(150, low, high);
        data.extend(close(at).filter(|x| (low..=high).contains(x)).flat_map(|x| [x; MASKS]));
        data
    };
    let (x, y) = (around(0, low), around(limit, low.saturating_add(limit).min(0)));
    let (x, y) = (p.input(x), p.input(y));
    let (x, y) = (p.narrow(x, bits), p.narrow(y, bits));
    for widen in [false, true] {
        let rectified =
            |function| Operation::Activation(Activation { function, compare_bits, skipped, widen });
        p.step(rectified(Rectifier::Relu), &[x]);
        p.step(rectified(Rectifier::ClippedRelu { limit: limit as u64 }), &[y]);
    }
    p.step(Operation::Compare(Compare { thresholds: vec![0], compare_bits, skipped }), &[x]);
    p
}

/// Maxima of two and of five.
fn maxima(make: Make<'_>, [ring_bits, bits, compare_bits, skipped]: [u32; 4]) -> Problem {
    let compare_bits = make.compare_bits(compare_bits);
    let name = format!("maxima of {bits} bits, looking at {compare_bits} without {skipped}");
    let (mut p, mut random) = make.problem(&name, ring_bits);
    let below = skipped_below(skipped);
    let (low, high) = make.narrow_range(bits, ring_bits);
    let spread = ((1i64 << (compare_bits.min(62) - 1)) - 1 - below).min(high);
    let mut data = random.edgy(1000, (-(spread / 2)).max(low), spread - spread / 2);
    // Many that are close to each other.
    data.extend(random.edgy(1000, (-below).max(-(spread / 2)), below.min(spread - spread / 2)));
    let x = p.input(data);
    let x = p.narrow(x, bits);
    for (input, kernel) in [([1000, 1, 2, 1], [1, 2]), ([200, 5, 2, 1], [5, 1])] {
        let window = window(kernel, [1, 1], [1, 1], [[0; 2]; 2]);
        p.step(Operation::MaxPool(MaxPool { input, window, compare_bits, skipped }), &[x]);
    }
    p
}
