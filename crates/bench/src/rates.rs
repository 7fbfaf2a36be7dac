//! How long steps take on a machine, by what they do: a sum of a few kinds of work, each at its rate. Rates are found
//! from steps that were measured.

use serde::{Deserialize, Serialize};

/// Kinds of work.
pub const KINDS: usize = 9;

/// What they are, as the calibration's file and reports have them.
pub const NAMES: [&str; KINDS] = [
    "round",
    "byte of truncations",
    "byte of comparisons",
    "byte of widening",
    "product in a ring of up to 32 bits",
    "product in a ring of up to 51 bits",
    "product in a larger ring",
    "element that is moved or added",
    "weight of a layer",
];

/// How much of each kind of work a step is.
pub type Work = [f64; KINDS];

/// Seconds that one of each kind takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates(pub [f64; KINDS]);

/// Steps that took less count as if they had taken this: what is so short is measured badly.
const SHORT: f64 = 100e-6;
/// How often weights are chosen anew, and rates for them.
const REWEIGHTED: usize = 8;
const DESCENTS: usize = 400;

impl Rates {
    /// How long a step takes.
    pub fn seconds(&self, work: &Work) -> f64 {
        self.0.iter().zip(work).map(|(rate, amount)| rate * amount).sum()
    }

    /// Rates of which none is below zero, for steps that took so long: those with the smallest sum of squared errors,
    /// each divided by the time that the rates say. An error counts as a part of a step, so, and the sum of all steps
    /// is right.
    pub fn fit(steps: &[(Work, f64)]) -> Rates {
        let largest: Vec<f64> = (0..KINDS)
            .map(|kind| steps.iter().filter_map(|(work, _)| work.get(kind)).fold(0.0, |m: f64, w| m.max(*w)))
            .collect();
        let scaled: Vec<Vec<f64>> = (steps.iter())
            .map(|(work, _)| {
                work.iter().zip(&largest).map(|(w, l)| if *l > 0.0 { w / l } else { 0.0 }).collect()
            })
            .collect();
        let times: Vec<f64> = steps.iter().map(|(_, seconds)| *seconds).collect();
        let mut rates = vec![0.0; KINDS];
        let mut said = times.clone();
        for _ in 0..REWEIGHTED {
            let weights: Vec<f64> = said.iter().map(|seconds| 1.0 / seconds.max(SHORT)).collect();
            descend(&scaled, &times, &weights, &mut rates);
            said = scaled.iter().map(|work| dot(work, &rates)).collect();
        }
        let mut found = Rates::default();
        for ((slot, rate), largest) in found.0.iter_mut().zip(&rates).zip(&largest) {
            *slot = if *largest > 0.0 { rate / largest } else { 0.0 };
        }
        found
    }
}

/// One rate after another goes to where the error is smallest, again and again.
fn descend(steps: &[Vec<f64>], times: &[f64], weights: &[f64], rates: &mut [f64]) {
    let mut rest: Vec<f64> = steps.iter().zip(times).map(|(work, time)| time - dot(work, rates)).collect();
    for _ in 0..DESCENTS {
        for (kind, rate) in rates.iter_mut().enumerate() {
            let amount = |work: &[f64]| work.get(kind).copied().unwrap_or(0.0);
            let (mut slope, mut curve) = (0.0, 0.0);
            for ((work, weight), rest) in steps.iter().zip(weights).zip(&rest) {
                slope += weight * amount(work) * rest;
                curve += weight * amount(work) * amount(work);
            }
            if curve <= 0.0 {
                continue;
            }
            let moved = (*rate + slope / curve).max(0.0) - *rate;
            *rate += moved;
            for (rest, work) in rest.iter_mut().zip(steps) {
                *rest -= moved * amount(work);
            }
        }
    }
}

fn dot(work: &[f64], rates: &[f64]) -> f64 {
    work.iter().zip(rates).map(|(amount, rate)| amount * rate).sum()
}

#[cfg(test)]
#[path = "../tests/rates.rs"]
mod tests;
