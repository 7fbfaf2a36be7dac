//! Widening: exact for |x| <= 2^(k−2), both ends included.

use cryptflow_operation::{Compare, Operation, Product};
use cryptflow_ring::LinearMap;

use super::super::problem::{Problem, relu};
use super::{Make, RINGS};

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
        all.push(of_several_rings(make, ring_bits));
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

/// Values that are widened to rings of their own, and what is computed of several of them: it is in the
/// smallest ring of its operands. A ring that is smaller than that of a narrow value cuts it.
fn of_several_rings(make: Make<'_>, ring_bits: u32) -> Problem {
    let (mut p, mut random) = make.problem("rings of their own", ring_bits);
    let (n, shift) = (600, 6);
    let [least, middle] = [ring_bits - 9, ring_bits - 4];
    let narrow = ring_bits - 13;
    // Sums of two products fit the smallest ring doubled, and so do products of two values.
    let limit = 1i64 << ((least - 6) / 2).min(14);
    let x = p.input(random.edgy(n, -limit, limit));
    let y = p.input(random.edgy(n, -limit, limit));
    let [w, v] = [0; 2].map(|_| p.weight(random.edgy(n, -limit, limit)));
    let (a, b) = (p.narrow(x, narrow), p.narrow(y, narrow));
    let small = p.step_to(Operation::Widen, &[a], least);
    let larger = p.step_to(relu(make.compare_bits(narrow - 1), true), &[b], middle);
    let map = LinearMap::Scale { rows: 1, channels: n };
    p.linear(vec![(map.clone(), small, w), (map.clone(), larger, v)], None, shift);
    p.linear(vec![(map.clone(), larger, w), (map.clone(), x, v)], None, shift);
    let product = Operation::Product(Product { map, shift });
    for [left, right] in [[small, larger], [larger, x], [x, small]] {
        p.step(product.clone(), &[left, right]);
    }
    p.step(Operation::Add, &[small, larger]);
    let compare = Compare {
        thresholds: vec![-limit, 0, limit / 2],
        compare_bits: make.compare_bits(narrow - 1),
        skipped: 0,
    };
    p.step_to(Operation::Compare(compare), &[a], least);
    p.step_to(relu(make.compare_bits(narrow - 1), true), &[a], narrow - 2);
    p.step_to(Operation::Widen, &[a], narrow - 2);
    p
}
