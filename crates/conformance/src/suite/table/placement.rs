//! Sums, differences and movements, of values of one width or several.

use cryptflow_operation::Operation;
use cryptflow_ring::Movement;

use super::super::problem::{Id, Problem};
use super::{Make, signed_range};

pub(super) fn problems(make: Make<'_>) -> Vec<Problem> {
    let mut all = Vec::new();
    for ring_bits in [64, 37] {
        for (left, right) in [(0, 0), (0, 13), (13, 0), (13, 13), (13, 16), (1, 25)] {
            all.push(sums(make, ring_bits, ring_bits - left, ring_bits - right));
        }
        for lost in [0, 13] {
            all.extend(movements(make, ring_bits, ring_bits - lost));
        }
        for widths in [[0, 0, 0], [13, 13, 13], [0, 13, 1]] {
            all.push(concat(make, ring_bits, widths.map(|lost| ring_bits - lost)));
        }
    }
    all
}

/// x + y, x − y, x + x, x − x and what follows from them, in the smaller of two rings.
fn sums(make: Make<'_>, ring_bits: u32, left: u32, right: u32) -> Problem {
    let (mut p, mut random) = make.problem(&format!("sums of {left} and {right} bits"), ring_bits);
    let (low, high) = signed_range(left.min(right) - 3);
    let (x, y) = (p.input(random.edgy(300, low, high)), p.input(random.edgy(300, low, high)));
    let (x, y) = (p.narrow(x, left), p.narrow(y, right));
    let sum = p.step(Operation::Add, &[x, y]);
    let difference = p.step(Operation::Sub, &[x, y]);
    let twice = p.step(Operation::Add, &[x, x]);
    let nothing = p.step(Operation::Sub, &[y, y]);
    p.step(Operation::Add, &[sum, difference]);
    p.step(Operation::Sub, &[nothing, twice]);
    p
}

fn movements(make: Make<'_>, ring_bits: u32, bits: u32) -> Vec<Problem> {
    let shape = || vec![2, 3, 4, 5];
    let slice = |begin: [usize; 4], size: [usize; 4], stride: [isize; 4]| Movement::Slice {
        begin: begin.to_vec(),
        size: size.to_vec(),
        stride: stride.to_vec(),
    };
    let pad = |before: [usize; 4], after: [usize; 4]| Movement::Pad {
        before: before.to_vec(),
        after: after.to_vec(),
    };
    let rows: Vec<(&str, Vec<usize>, Movement)> = vec![
        ("reshape", shape(), Movement::Reshape { shape: vec![6, 20] }),
        ("reshape to one axis", shape(), Movement::Reshape { shape: vec![120] }),
        ("transpose to channels first", shape(), Movement::Transpose { permutation: vec![0, 3, 1, 2] }),
        ("transpose of the last axes", shape(), Movement::Transpose { permutation: vec![0, 1, 3, 2] }),
        ("pad", shape(), pad([0, 1, 2, 0], [0, 2, 1, 3])),
        ("pad nothing", shape(), pad([0; 4], [0; 4])),
        ("slice", shape(), slice([1, 0, 1, 2], [1, 2, 3, 2], [1, 2, 1, 2])),
        ("slice backwards", shape(), slice([1, 2, 0, 4], [2, 3, 4, 3], [-1, -1, 1, -2])),
        ("slice of nothing", shape(), slice([0; 4], [2, 0, 4, 5], [1; 4])),
        ("broadcast of a channel", vec![5], Movement::Broadcast { shape: vec![2, 3, 5] }),
        ("broadcast of an axis", vec![2, 1, 3], Movement::Broadcast { shape: vec![2, 4, 3] }),
        ("gathering from the middle", vec![2, 4, 3], Movement::Gather { axis: 1, indices: vec![3, 0, 0] }),
        ("broadcast of one element", vec![1], Movement::Broadcast { shape: vec![7, 9] }),
    ];
    let problem = |(name, shape, movement): (&str, Vec<usize>, Movement)| {
        let (mut p, mut random) = make.problem(&format!("{name} of {bits} bits"), ring_bits);
        let (low, high) = make.narrow_range(bits, ring_bits);
        let x = p.input(random.edgy(shape.iter().product(), low, high));
        let x = p.narrow(x, bits);
        let moved = p.movement(movement, vec![(shape, x)]);
        // What was moved is a value like any other.
        p.step(Operation::Sub, &[moved, moved]);
        p
    };
    rows.into_iter().map(problem).collect()
}

fn concat(make: Make<'_>, ring_bits: u32, widths: [u32; 3]) -> Problem {
    let (mut p, mut random) = make.problem(&format!("concat of {widths:?} bits"), ring_bits);
    let (low, high) = make.narrow_range(widths.into_iter().min().unwrap_or(ring_bits), ring_bits);
    let inputs = [12, 24, 36].map(|n| p.input(random.edgy(n, low, high)));
    let values: Vec<Id> = inputs.iter().zip(widths).map(|(&x, bits)| p.narrow(x, bits)).collect();
    for (axis, shapes) in [
        (0, [[2, 3, 2], [4, 3, 2], [6, 3, 2]]),
        (1, [[3, 2, 2], [3, 4, 2], [3, 6, 2]]),
        (2, [[3, 4, 1], [3, 4, 2], [3, 4, 3]]),
    ] {
        let inputs = shapes.iter().map(|s| s.to_vec()).zip(values.iter().copied()).collect();
        p.movement(Movement::Concat { axis }, inputs);
    }
    // One value several times.
    let x = values.first().copied().unwrap_or(0);
    let twice = vec![(vec![12], x), (vec![12], x)];
    p.movement(Movement::Concat { axis: 0 }, twice);
    p
}
