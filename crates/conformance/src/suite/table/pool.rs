//! Maximum and sum over windows.

use cryptflow_operation::{MaxPool, Operation, SumPool};
use cryptflow_ring::Window;

use super::super::problem::Problem;
use super::{Make, window};

const NONE: [[usize; 2]; 2] = [[0; 2]; 2];

fn windows() -> Vec<(&'static str, [usize; 4], Window)> {
    vec![
        ("2x2", [1, 6, 8, 3], window([2, 2], [2, 2], [1, 1], NONE)),
        ("3x3 stride 2", [1, 7, 9, 2], window([3, 3], [2, 2], [1, 1], NONE)),
        ("3x3 stride 2, padded", [1, 8, 8, 2], window([3, 3], [2, 2], [1, 1], [[0, 1], [0, 1]])),
        ("3x3 same", [1, 5, 4, 3], window([3, 3], [1, 1], [1, 1], [[1; 2]; 2])),
        ("2x2, padded all around", [1, 4, 4, 1], window([2, 2], [2, 2], [1, 1], [[1; 2]; 2])),
        ("1x1", [1, 3, 5, 2], window([1, 1], [1, 1], [1, 1], NONE)),
        ("1x1 stride 2", [1, 5, 5, 2], window([1, 1], [2, 2], [1, 1], NONE)),
        ("2x3", [1, 6, 7, 1], window([2, 3], [2, 1], [1, 1], [[0, 0], [1, 1]])),
        ("1x4", [1, 2, 9, 2], window([1, 4], [1, 2], [1, 1], NONE)),
        ("dilated", [1, 9, 9, 2], window([3, 3], [1, 2], [2, 3], [[1, 1], [2, 2]])),
        ("global", [1, 7, 7, 5], window([7, 7], [1, 1], [1, 1], NONE)),
        ("batch 3", [3, 4, 4, 2], window([2, 2], [2, 2], [1, 1], NONE)),
    ]
}

/// Bits of the ring of wide values, of the value's ring, and of the comparison.
const WIDTHS: [[u32; 3]; 8] = [
    [64, 51, 32],
    [64, 51, 51],
    [64, 64, 40],
    [64, 64, 64],
    [63, 50, 24],
    [48, 32, 32],
    [37, 24, 24],
    [37, 24, 2],
];

pub(super) fn problems(make: Make<'_>) -> Vec<Problem> {
    let mut all = Vec::new();
    for widths in WIDTHS {
        for (name, input, window) in windows() {
            all.push(max_pool(make, name, widths, input, &window));
        }
    }
    for ring_bits in [64, 37] {
        for (name, input, window) in windows() {
            all.push(sum_pool(make, name, ring_bits, input, &window));
        }
    }
    all
}

/// Values of both signs, negative ones alone and positive ones alone, with differences at the
/// bound: two elements are never further apart than 2^(compare_bits − 1) − 1.
fn max_pool(make: Make<'_>, name: &str, widths: [u32; 3], input: [usize; 4], window: &Window) -> Problem {
    let [ring_bits, bits, compare_bits] = widths;
    let compare_bits = make.compare_bits(compare_bits);
    let name = format!("max pool {name} of {bits} bits, comparing {compare_bits}");
    let (mut p, mut random) = make.problem(&name, ring_bits);
    let n = input.iter().product();
    let (low, high) = make.narrow_range(bits, ring_bits);
    let spread = ((1i128 << (compare_bits - 1)) - 1) as i64;
    let ranges = [
        (-(spread / 2), spread - spread / 2),
        (low, low.saturating_add(spread).min(-1)),
        (high.saturating_sub(spread).max(0), high),
    ];
    let inputs = ranges.map(|(from, to)| p.input(random.edgy(n, from.max(low), to.min(high))));
    let inputs = inputs.map(|x| p.narrow(x, bits));
    for x in inputs {
        p.step(Operation::MaxPool(MaxPool { input, window: window.clone(), compare_bits, skipped: 0 }), &[x]);
    }
    p
}

fn sum_pool(make: Make<'_>, name: &str, ring_bits: u32, input: [usize; 4], window: &Window) -> Problem {
    let (mut p, mut random) = make.problem(&format!("sum pool {name}"), ring_bits);
    let taps: usize = window.kernel.iter().product();
    let limit = ((1i64 << (ring_bits - 2)) - 1) / taps as i64;
    let x = p.input(random.edgy(input.iter().product(), -limit, limit));
    p.step(Operation::SumPool(SumPool { input, window: window.clone() }), &[x]);
    p
}
