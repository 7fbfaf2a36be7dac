//! Local truncation fails as often as is said, and dealt truncation never, up to the ends of its
//! range.

use std::thread;

use cryptflow_mpc::keys::Scope;
use cryptflow_mpc::{Operand, Operands, Owner, Party, Protocol};
use cryptflow_operation::{Linear, LinearTerm, Operation, WeightId};
use cryptflow_porthos::{Porthos, PorthosOwner, Truncation, Tuning};
use cryptflow_ring::LinearMap;
use cryptflow_wire::{LinkOptions, local};

use crate::truncation::{failure_probability, truncate};

/// x·1 / 2^shift, opened.
fn truncated(x: &[i64], shift: u32, truncation: Truncation) -> Vec<i64> {
    let owner = PorthosOwner::new(64);
    let words: Vec<u64> = x.iter().map(|&v| v as u64).collect();
    let (inputs, ones) = (owner.share_value(&words).unwrap(), owner.share_weight(&[1], 64).unwrap());
    let map = LinearMap::MatMul { rows: x.len(), inner: 1, columns: 1 };
    let links = local::mesh(3, LinkOptions::default()).unwrap();
    let parts: Vec<Vec<u8>> = thread::scope(|scope| {
        let map = &map;
        let threads: Vec<_> = links
            .into_iter()
            .zip(inputs.into_iter().zip(ones))
            .map(|(links, (input, one))| {
                scope.spawn(move || {
                    let mut party =
                        Porthos::new(links, &Scope::insecure_of_ring(64), truncation, Tuning::USUAL).unwrap();
                    assert!(party.party() < Party::new(3));
                    let value = party.receive_value("x", map.input_len(), input).unwrap();
                    let weight = party.receive_weight("w", 1, one, 64).unwrap();
                    let term = LinearTerm { input: 0, weight: WeightId(0), map: map.clone() };
                    let linear = Operation::Linear(Linear { terms: vec![term], bias: None, shift });
                    let inputs = vec![Operand { shape: &[], value: &value }];
                    let z = party
                        .apply(&linear, &Operands { inputs, weights: &[weight], ring_bits: 64 })
                        .unwrap();
                    party.reveal(&z).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    owner.open(x.len(), &[&parts[0], &parts[1], &parts[2]]).unwrap()
}

#[test]
fn dealt_truncation_is_within_a_unit_up_to_both_ends() {
    let end = 1i64 << 62;
    let edges = [-end, end - 1, 0, 1, -1, end / 2, -end / 2, 4096, -4096, 12345, 1 - end];
    let x: Vec<i64> = edges.into_iter().cycle().take(100_000).collect();
    for shift in [1, 12, 25, 40, 62] {
        for (x, y) in x.iter().zip(truncated(&x, shift, Truncation::Dealt)) {
            let error = (i128::from(y) << shift) - i128::from(*x);
            assert!(error.abs() < 1 << shift, "{x} >> {shift} gives {y}");
        }
    }
}

#[test]
fn local_truncation_fails_as_often_as_is_said() {
    // A quarter of all shares fail.
    let x = vec![1i64 << 62; 100_000];
    let failures =
        truncated(&x, 12, Truncation::Local).into_iter().filter(|y| (y - (1 << 50)).abs() > 1).count();
    assert!((failures as f64 / 25_000.0 - 1.0).abs() < 0.03, "{failures}");
}

/// Local truncation of z with P0's share s.
fn truncated_locally(z: i64, s: u64, shift: u32) -> i64 {
    let (mut a, mut b) = ([s], [(z as u64).wrapping_sub(s)]);
    truncate::<64>(Party::P0, &mut a, shift);
    truncate::<64>(Party::P1, &mut b, shift);
    a[0].wrapping_add(b[0]) as i64
}

#[test]
fn is_down_or_up_and_exact_where_nothing_is_lost() {
    let mut state = 7u64;
    for z in [0, 1, -1, 2000, -2000, 4096, -4096, 5 << 12, -(9 << 12), (1 << 40) + 777, -(1 << 40) - 777] {
        let mut seen = [false; 2];
        for _ in 0..2000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // The |z| shares at which it fails are never met by chance.
            let result = truncated_locally(z, state ^ (state >> 29), 12);
            let up = result - (z >> 12);
            assert!(up == 0 || up == 1, "{z} gives {result}");
            seen[up as usize] = true;
        }
        let lost = z.rem_euclid(4096);
        assert!(seen[0] || lost > 4000, "{z} is rounded down");
        assert!(seen[1] || lost < 500, "{z} is rounded up");
        assert!(lost != 0 || !seen[1], "{z} is exact");
    }
}

#[test]
fn fails_for_as_many_shares_as_z_is_large() {
    let end = 1u64 << 63;
    for (z, first, last) in [(-5000, end - 5000, end - 1), (5000, end, end + 4999)] {
        let off = |s: u64| (truncated_locally(z, s, 12) - (z >> 12)).abs() > 1;
        assert!(off(first) && off(last));
        assert!(!off(first - 1) && !off(last + 1));
    }
    assert!((failure_probability(1 << 20, 1 << 24) - 2f64.powi(-20)).abs() < 1e-12);
}
