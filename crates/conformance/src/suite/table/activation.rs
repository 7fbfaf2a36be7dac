//! ReLU and clipped ReLU on every number of bits, at both bounds.

use super::super::problem::{Problem, clipped_relu, relu};
use super::{Make, RINGS, SHIFTS, both, signed_range};
use cryptflow_operation::Operation;

pub(super) fn problems(make: Make<'_>) -> Vec<Problem> {
    let mut all = Vec::new();
    for ring_bits in RINGS {
        for shift in SHIFTS {
            let bits = ring_bits - shift - 1;
            // Every number of bits for the usual shift, a few for the others.
            let some = [2, 3, 8, 24, 32, bits - 1, bits];
            for compare_bits in (2..=make.compare_bits(bits)).filter(|c| shift == 12 || some.contains(c)) {
                all.push(relus(make, ring_bits, bits, compare_bits));
            }
        }
        // A ring that is one bit short, and wide values, which have nothing to widen to.
        all.push(relus(make, ring_bits, ring_bits - 1, make.compare_bits(ring_bits - 1)));
        for compare_bits in [2, 24, ring_bits - 1, ring_bits] {
            if compare_bits <= make.traits.compare_bits {
                all.push(relus(make, ring_bits, ring_bits, compare_bits));
            }
        }
        all.push(sums(make, ring_bits, ring_bits - 13));
    }
    all
}

/// ReLU and clipped ReLU with and without widening, of values of Z_2^bits.
fn relus(make: Make<'_>, ring_bits: u32, bits: u32, compare_bits: u32) -> Problem {
    let (mut p, mut random) =
        make.problem(&format!("relu of {bits} bits, comparing {compare_bits}"), ring_bits);
    let (low, high) = both(signed_range(compare_bits), make.narrow_range(bits, ring_bits));
    // x − limit must fit as well.
    let limit = (high / 3).max(1);
    let (x, y) = (p.input(random.edgy(150, low, high)), p.input(random.edgy(150, low + limit, high)));
    let (x, y) = (p.narrow(x, bits), p.narrow(y, bits));
    for widen in [false, true] {
        p.step(relu(compare_bits, widen), &[x]);
        p.step(clipped_relu(limit as u64, compare_bits, widen), &[y]);
    }
    p
}

/// ReLU of sums and differences of masked values, which reach the very ends of their ring.
fn sums(make: Make<'_>, ring_bits: u32, bits: u32) -> Problem {
    let (mut p, mut random) = make.problem(&format!("relu of sums in {bits} bits"), ring_bits);
    let compare_bits = make.compare_bits(bits);
    let (low, high) = signed_range(compare_bits);
    let sums = random.edgy(300, low, high);
    let halves: Vec<i64> = sums.iter().map(|v| v / 2).collect();
    let rest: Vec<i64> = sums.iter().zip(&halves).map(|(v, h)| v - h).collect();
    let (a, b) = (p.input(halves), p.input(rest));
    let (a, b) = (p.narrow(a, bits), p.narrow(b, bits));
    let sum = p.step(Operation::Add, &[a, b]);
    p.step(relu(compare_bits, true), &[sum]);
    let difference = p.step(Operation::Sub, &[sum, a]);
    p.step(relu(compare_bits, false), &[difference]);
    let nothing = p.step(Operation::Sub, &[a, a]);
    p.step(relu(compare_bits, true), &[nothing]);
    p
}
