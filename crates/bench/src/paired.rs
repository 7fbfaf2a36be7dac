//! Whether one of two ways is faster, from runs of both in turns. Other work on the machine slows both runs of a
//! pair alike: their ratio says more than either of them.

use std::fmt;

use serde::Serialize;

use crate::{median, quantile};

/// Fewer pairs than this prove nothing, however they turn out: that all of them agree by chance is too likely.
pub const FEWEST: usize = 6;

/// How sure a judgement is, at least: the interval holds the ratio's true median with this probability.
const SURE: f64 = 0.95;

/// What pairs of runs say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// The new way's measure over the old one's: the median of all pairs.
    pub ratio: f64,
    /// The smallest and the largest ratio of a pair but for the outer quarters.
    pub quartiles: [f64; 2],
    /// Where the median of all pairs that could be is, with a probability of 95 % at least.
    pub interval: [f64; 2],
    /// How many pairs there are.
    pub pairs: usize,
    /// What follows.
    pub verdict: Verdict,
}

/// What follows from pairs of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The new way takes less.
    Less,
    /// The new way takes more.
    More,
    /// These pairs do not tell.
    Open,
}

impl Judgement {
    /// Of pairs of what the old way took, and the new one; nothing of too few, or where one is zero.
    pub fn of(pairs: &[[f64; 2]]) -> Option<Judgement> {
        let mut ratios: Vec<f64> = pairs.iter().map(|[old, new]| new / old).collect();
        if ratios.len() < FEWEST || ratios.iter().any(|ratio| !(ratio.is_finite() && *ratio > 0.0)) {
            return None;
        }
        ratios.sort_by(f64::total_cmp);
        let outside = outside(ratios.len());
        let at = |place: usize| ratios.get(place).copied().unwrap_or(1.0);
        let interval = [at(outside), at(ratios.len() - 1 - outside)];
        let verdict = match interval {
            [_, high] if high < 1.0 => Verdict::Less,
            [low, _] if low > 1.0 => Verdict::More,
            _ => Verdict::Open,
        };
        Some(Judgement {
            ratio: median(&ratios),
            quartiles: [quantile(&ratios, 0.25), quantile(&ratios, 0.75)],
            interval,
            pairs: ratios.len(),
            verdict,
        })
    }
}

/// How many of the smallest, and of the largest, of so many values may be left out, such that the median is between
/// the rest as surely as demanded. (Each value is below the median with a probability of a half.)
fn outside(values: usize) -> usize {
    // Of the smallest k being all that is below the median: a coin that shows one side k times.
    let mut chance = 0.5f64.powi(i32::try_from(values).unwrap_or(i32::MAX));
    let mut below = chance;
    let mut left_out = 0;
    while left_out + 1 < values / 2 {
        chance *= (values - left_out) as f64 / (left_out + 1) as f64;
        below += chance;
        if 2.0 * below > 1.0 - SURE {
            break;
        }
        left_out += 1;
    }
    left_out
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judgement { ratio, quartiles: [q1, q3], interval: [low, high], pairs, verdict } = self;
        write!(
            f,
            "{ratio:.3} of the old (half of {pairs} pairs from {q1:.3} to {q3:.3}; 95 %: {low:.3} to {high:.3}): {}",
            match verdict {
                Verdict::Less => "less",
                Verdict::More => "MORE",
                Verdict::Open => "no difference shown",
            }
        )
    }
}

#[cfg(test)]
#[path = "../tests/paired.rs"]
mod tests;
