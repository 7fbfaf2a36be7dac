//! Whole layers of Mirror between three threads, against plain integers, with rounds and bytes against the formulas.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::thread;

use cryptflow_mirror::{Masked, Mirror, MirrorCosts, MirrorOwner, Tuning};
use cryptflow_mpc::{Cost, CostModel, Layout, Owner, Protocol, Term};
use cryptflow_ring::{LinearMap, Window};
use cryptflow_wire::{LinkOptions, local};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let x = self.0 ^ self.0 >> 29;
        x.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ x >> 32
    }

    /// Uniform in −2^bits .. 2^bits.
    fn signed(&mut self, bits: u32) -> i64 {
        (self.next() >> (63 - bits)) as i64 - (1 << bits)
    }
}

/// Shares `inputs` and `weights`, runs `program` at each party, and opens its result.
fn run(
    ring: u32,
    inputs: &[Vec<i64>],
    weights: &[Vec<i64>],
    program: impl Fn(&mut Mirror, &[Masked], &[cryptflow_mirror::MirroredWeight]) -> Masked + Sync,
) -> (Vec<i64>, Cost) {
    let owner = MirrorOwner::new(ring);
    let words = |v: &[i64]| v.iter().map(|x| *x as u64).collect::<Vec<_>>();
    let inputs: Vec<_> = inputs.iter().map(|x| (x.len(), owner.share_value(&words(x)).unwrap())).collect();
    let weights: Vec<_> = weights.iter().map(|x| (x.len(), owner.share_weight(&words(x)).unwrap())).collect();
    let links = local::mesh(LinkOptions::default()).unwrap();
    let results: Vec<(Vec<u8>, usize, Cost)> = thread::scope(|scope| {
        let handles: Vec<_> = links
            .into_iter()
            .enumerate()
            .map(|(i, links)| {
                let (inputs, weights, program) = (&inputs, &weights, &program);
                scope.spawn(move || {
                    let mut party = Mirror::new(links, ring, Tuning::default()).unwrap();
                    let x: Vec<Masked> = inputs
                        .iter()
                        .map(|(len, parts)| party.receive_value("x", *len, parts[i].clone()).unwrap())
                        .collect();
                    let w: Vec<_> = weights
                        .iter()
                        .map(|(len, parts)| party.receive_weight("w", *len, parts[i].clone()).unwrap())
                        .collect();
                    let y = program(&mut party, &x, &w);
                    let cost = party.metered();
                    (party.reveal(&y).unwrap(), y.len(), cost)
                })
            })
            .collect();
        handles.into_iter().map(|h| h.join().unwrap()).collect()
    });
    let mut cost = Cost::FREE;
    for (i, (_, _, c)) in results.iter().enumerate() {
        cost.rounds = cost.rounds.max(c.rounds);
        cost.bytes[i] = c.bytes[i];
    }
    let parts = [0, 1, 2].map(|i| results[i].0.as_slice());
    (owner.open(results[0].1, parts).unwrap(), cost)
}

#[test]
fn a_layer_is_right_and_costs_what_it_says() {
    for (ring, f, compare) in [(64, 12, 32), (64, 12, 24), (37, 12, 24), (63, 1, 40), (64, 0, 63)] {
        for (rows, inner, columns) in [(1, 1, 1), (3, 5, 7), (64, 20, 33), (300, 9, 61)] {
            let mut random = Random(ring as u64 * 1000 + rows as u64);
            let bits = (compare - 2 + f).min(ring - 4);
            let x: Vec<i64> = (0..rows * inner).map(|_| random.signed(bits / 2)).collect();
            let w: Vec<i64> = (0..inner * columns).map(|_| random.signed(bits / 2 - 6)).collect();
            let bias: Vec<i64> = (0..columns).map(|_| random.signed(bits / 2)).collect();
            let map = LinearMap::MatMul { rows, inner, columns };
            let layer = |party: &mut Mirror, x: &[Masked], w: &[_]| {
                let terms = [Term { map: &map, x: &x[0], w: &w[0] }];
                let z = party.linear(&terms, Some(&w[1]), f).unwrap();
                party.relu(&z, compare, true).unwrap()
            };
            let (y, cost) = run(ring, std::slice::from_ref(&x), &[w.clone(), bias.clone()], layer);
            for r in 0..rows {
                for c in 0..columns {
                    let z: i64 =
                        (0..inner).map(|i| x[r * inner + i] * w[i * columns + c]).sum::<i64>() + bias[c];
                    let exact = (z + if f > 0 { 1 << (f - 1) } else { 0 }) >> f;
                    let got = y[r * columns + c];
                    let near = (exact - 1..=exact + 1).map(|e| e.max(0));
                    assert!(near.clone().any(|e| e == got), "K={ring} f={f}: {got}, not {near:?}");
                }
            }
            let costs = MirrorCosts::default();
            let input = Layout { len: rows * inner, bits: ring };
            let (linear, z) = costs.linear(&[&map], &[input], f);
            let (relu, _) = costs.relu(z, compare, Some(ring));
            assert_eq!(cost, linear + relu, "K={ring} f={f} {rows}x{inner}x{columns}");
        }
    }
}

#[test]
fn max_pool_clip_and_widen_are_exact() {
    let mut random = Random(5);
    let shape = [2, 9, 7, 3];
    let window = Window { kernel: [3, 2], stride: [2, 1], dilation: [1, 1], padding: [[1, 1], [0, 1]] };
    let x: Vec<i64> = (0..shape.iter().product()).map(|_| random.signed(18)).collect();
    let ones = vec![1i64 << 12; 3];
    let map = LinearMap::Scale { rows: x.len() / 3, channels: 3 };
    for ring in [64, 40] {
        // One truncation first, so that everything happens in the narrow ring.
        let narrow = |party: &mut Mirror, x: &[Masked], w: &[cryptflow_mirror::MirroredWeight]| {
            party.linear(&[Term { map: &map, x: &x[0], w: &w[0] }], None, 12).unwrap()
        };
        let (plain, _) =
            run(ring, std::slice::from_ref(&x), std::slice::from_ref(&ones), |p, x, w| narrow(p, x, w));
        assert!(plain.iter().zip(&x).all(|(a, b)| (a - b).abs() <= 1));
        let (widened, _) = run(ring, std::slice::from_ref(&x), std::slice::from_ref(&ones), |p, x, w| {
            let z = narrow(p, x, w);
            p.widen(&z).unwrap()
        });
        assert!(widened.iter().zip(&x).all(|(a, b)| (a - b).abs() <= 1));
        let (clipped, _) = run(ring, std::slice::from_ref(&x), std::slice::from_ref(&ones), |p, x, w| {
            let z = narrow(p, x, w);
            p.clipped_relu(&z, 1000, 22, true).unwrap()
        });
        assert!(clipped.iter().zip(&x).all(|(a, b)| (a - (*b).clamp(0, 1000)).abs() <= 1));
        let (pooled, cost) = run(ring, std::slice::from_ref(&x), &[], |p, x, _| {
            p.max_pool(&x[0], shape, &window, 20).unwrap()
        });
        let [h, w] = window.output([shape[1], shape[2]]).unwrap();
        let at =
            |n: usize, i: usize, j: usize, c: usize| x[((n * shape[1] + i) * shape[2] + j) * shape[3] + c];
        let mut expected = Vec::new();
        for n in 0..shape[0] {
            for i in 0..h {
                for j in 0..w {
                    for c in 0..shape[3] {
                        let rows =
                            (0..3).filter_map(|k| (i * 2 + k).checked_sub(1)).filter(|r| *r < shape[1]);
                        let best = rows
                            .flat_map(|r| (j..j + 2).filter(|q| *q < shape[2]).map(move |q| at(n, r, q, c)));
                        expected.push(best.max().unwrap());
                    }
                }
            }
        }
        assert_eq!(pooled, expected);
        let costs = MirrorCosts::default();
        assert_eq!(cost, costs.max_pool(Layout { len: x.len(), bits: ring }, shape, &window, 20).0);
    }
}
