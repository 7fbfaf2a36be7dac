//! Rates that are found from steps.

use super::*;

const TRUE: [f64; KINDS] = [60e-6, 2e-9, 3e-9, 2.5e-9, 0.1e-9, 0.12e-9, 0.4e-9, 1e-9, 2e-9];

/// Steps as networks have them: of one family each, small and large.
fn steps() -> Vec<Work> {
    let mut steps = Vec::new();
    for size in [1e2, 1e3, 1e4, 1e5, 1e6] {
        // The last one has a weight for each product.
        for (ring, macs, weights) in
            [(4, 20.0, 1.0), (5, 300.0, 2.0), (6, 150.0, 1.0), (5, 20.0, 0.1), (4, 300.0, 300.0)]
        {
            let mut work = [1.0, 5.0 * size, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, weights * size];
            work[ring] = macs * size;
            steps.push(work);
        }
        steps.push([6.0, 0.0, 13.0 * size, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        steps.push([2.0, 0.0, 0.0, 6.0 * size, 0.0, 0.0, 0.0, 0.0, 0.0]);
        steps.push([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0 * size, 0.0]);
    }
    steps
}

#[test]
fn rates_that_made_the_times_are_found() {
    let steps: Vec<_> = steps().into_iter().map(|work| (work, Rates(TRUE).seconds(&work))).collect();
    let found = Rates::fit(&steps);
    for ((found, expected), name) in found.0.iter().zip(TRUE).zip(NAMES) {
        assert!((found / expected - 1.0).abs() < 0.05, "{name}: {found:e}, {expected:e}");
    }
}

/// Each step takes up to twice as long as it should, or half: the sum is right all the same, whichever steps it is of.
#[test]
fn noise_of_steps_is_none_of_the_sum() {
    let mut random = 7u64;
    let mut noise = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (((random >> 40) as f64 / (1u64 << 24) as f64) * 2.0 - 1.0).exp2()
    };
    let (mut measured, mut mean) = (Vec::new(), 0.0);
    for _ in 0..20 {
        for work in steps() {
            let noise = noise();
            mean += noise;
            measured.push((work, Rates(TRUE).seconds(&work) * noise));
        }
    }
    mean /= measured.len() as f64;
    let found = Rates::fit(&measured);
    let (said, took): (f64, f64) = (
        measured.iter().map(|(work, _)| found.seconds(work)).sum(),
        measured.iter().map(|(_, took)| took).sum(),
    );
    assert!((said / took - 1.0).abs() < 0.03, "{said} {took}");
    // A network of other sizes.
    let other: Vec<Work> = steps().iter().map(|work| work.map(|amount| (amount * 2.7).round())).collect();
    let sum = |rates: &Rates| other.iter().map(|work| rates.seconds(work)).sum::<f64>();
    let (said, due) = (sum(&found), sum(&Rates(TRUE)) * mean);
    assert!((said / due - 1.0).abs() < 0.1, "{said} {due}");
}

#[test]
fn nothing_is_below_zero_or_undefined() {
    for steps in [vec![], vec![([0.0; KINDS], 1.0)], vec![([1.0; KINDS], 0.0)], vec![([1.0; KINDS], 1.0); 3]]
    {
        let found = Rates::fit(&steps);
        assert!(found.0.iter().all(|rate| rate.is_finite() && *rate >= 0.0), "{found:?}");
    }
}
