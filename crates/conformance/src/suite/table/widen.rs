//! Widening: exact for |x| <= 2^(k−2), both ends included.

use super::super::problem::Problem;
use super::{Make, RINGS};
use cryptflow_operation::Operation;

pub(super) fn problems(make: Make<'_>) -> Vec<Problem> {
    let mut all = Vec::new();
    for ring_bits in RINGS {
        for lost in [0, 1, 2, 8, 12, 13, 16, 31, ring_bits - 8, ring_bits - 3] {
            let bits = ring_bits - lost;
            let (mut p, mut random) = make.problem(&format!("widen from {bits} bits"), ring_bits);
            let limit = 1i64 << (bits - 2);
            let x = p.input(random.edgy(600, -limit, limit));
            let x = p.narrow(x, bits);
            let wide = p.step(Operation::Widen, &[x]);
            // What is wide already stays as it is.
            p.step(Operation::Widen, &[wide]);
            all.push(p);
        }
        all.push(sums(make, ring_bits));
    }
    all
}

/// Sums of masked values: their masks are reduced, and so is what widening makes of them.
fn sums(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, mut random) = make.problem("widen sums", ring_bits);
    let bits = ring_bits - 13;
    let limit = 1i64 << (bits - 3);
    let (x, y) = (p.input(random.edgy(600, -limit, limit)), p.input(random.edgy(600, -limit, limit)));
    let (a, b) = (p.narrow(x, bits), p.narrow(y, bits));
    let sum = p.step(Operation::Add, &[a, b]);
    p.step(Operation::Widen, &[sum]);
    let difference = p.step(Operation::Sub, &[a, y]);
    p.step(Operation::Widen, &[difference]);
    let twice = p.step(Operation::Add, &[a, a]);
    p.step(Operation::Widen, &[twice]);
    p
}
