//! A function as one polynomial of an operand that ReLUs have brought into a short range: no coefficient is picked,
//! so that none is secret, and no comparison becomes a number.
//!
//! What is flat beyond some place needs no polynomial there. And what differs from a ReLU by an even function that
//! vanishes far from zero, as GELU, SiLU and softplus do, is a ReLU and a polynomial of |x| = 2·relu(x) − x.

use cryptflow_operation::Bounds;

use super::cost::Place;
use super::fit::Wanted;
use super::polynomial::{PLANS, Polynomial, places};

/// How an operand X comes into the range of the polynomial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// It is there.
    Within,
    /// `max(X, low)`.
    NotBelow,
    /// `min(X, high)`.
    NotAbove,
    /// Both.
    Between,
    /// `min(|X|, high)`, and the result is `relu(X)` more.
    Rectified,
}

/// A function in integers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curve {
    pub(crate) ends: Ends,
    pub(crate) polynomial: Polynomial,
    /// Bits by which a unit of the operand is coarser than one of the result; for [`Ends::Rectified`].
    pub(crate) raised: u32,
    /// The lowest bits that the ReLUs skip which cut the operand off: within 2^s units of the ends the function hardly changes.
    pub(crate) skipped: u32,
    /// Those that the ReLU skips which folds it: the polynomial goes on so far beyond zero, where it and the operand, which is not
    /// folded there, make the same of it.
    pub(crate) skipped_at_fold: u32,
    low: i64,
    high: i64,
}

/// How much a ReLU and what is even may differ from a function, where they are the same but for floats' rounding.
const EVEN: f64 = 1e-9;

impl Curve {
    /// The cheapest curve that costs no more bits than this for an element; none where there is none.
    pub(crate) fn cheapest(wanted: &Wanted<'_>, most: f64) -> Option<Curve> {
        let Wanted { low, high, .. } = *wanted;
        let place = Place::new(wanted);
        let mut best: Option<(f64, Curve)> = None;
        for ends in [Ends::Within, Ends::NotBelow, Ends::NotAbove, Ends::Between, Ends::Rectified] {
            let Some(before) = cost_before(ends, &place) else { continue };
            let Some([from, to]) = range(wanted, ends) else { continue };
            // The operand's own breaks are none of a polynomial.
            if from >= to || wanted.breaks.iter().any(|&b| b > from && b <= to) {
                continue;
            }
            let rest = |y: f64| (wanted.at)(-y);
            let at: &dyn Fn(f64) -> f64 = if ends == Ends::Rectified { &rest } else { wanted.at };
            let skipped = skipped(wanted, at, ends, [from, to]);
            let (from, skipped_at_fold) = match (ends, fold_bits(wanted, to)) {
                (Ends::Rectified, bits) => (1 - (1i64 << bits), bits),
                (Ends::Within | Ends::NotBelow | Ends::NotAbove | Ends::Between, _) => (from, 0),
            };
            let within = Wanted { at, low: from, high: to, breaks: Vec::new(), ..*wanted };
            for plan in PLANS {
                let least = before + place.polynomial(plan.0, plan.1, 2 * wanted.to_scale);
                let affordable = best.as_ref().map_or(most, |(cost, _)| *cost);
                if least >= affordable {
                    continue;
                }
                let Some(polynomial) = Polynomial::fit(&within, plan) else { continue };
                let cost = before + place.polynomial(plan.0, plan.1, polynomial.ring());
                if cost < affordable {
                    let raised = wanted.to_scale.saturating_sub(wanted.from_scale);
                    best =
                        Some((cost, Curve { ends, polynomial, raised, skipped, skipped_at_fold, low, high }));
                }
                break;
            }
        }
        best.map(|(_, curve)| curve)
    }

    /// What the program computes, every division rounded to the nearest.
    pub(crate) fn at(&self, x: i64) -> i64 {
        let Polynomial { low, high, .. } = self.polynomial;
        match self.ends {
            Ends::Within | Ends::NotBelow | Ends::NotAbove | Ends::Between => {
                self.polynomial.at(x.clamp(low, high))
            }
            Ends::Rectified => (x.max(0) << self.raised) + self.polynomial.at(x.abs().min(high)),
        }
    }

    /// What is lost where ReLUs skip bits, in units of the result.
    pub(crate) fn lost(&self) -> f64 {
        if self.skipped > 0 { LOST_AT_ENDS } else { 0.0 }
    }

    /// The smallest and the largest result over all operands, with headroom for the rounding of truncations.
    pub(crate) fn bounds(&self) -> Bounds {
        let Polynomial { low, high, .. } = self.polynomial;
        let inner = places(low, high).flat_map(|x| [x, -x]);
        let all = places(self.low, self.high).chain(inner.filter(|x| (self.low..=self.high).contains(x)));
        let Bounds { low, high } = Bounds::of(all.map(|x| self.at(x)));
        let slack = 12 + (high - low) / 256;
        Bounds { low: low - slack, high: high + slack }
    }
}

/// Units of the result that what is next to the ends of a curve may be off by for counting as these.
const LOST_AT_ENDS: f64 = 0.5;

/// The bits that ReLUs may skip which cut an operand off at the ends of a range.
fn skipped(wanted: &Wanted<'_>, at: &dyn Fn(f64) -> f64, ends: Ends, [from, to]: [i64; 2]) -> u32 {
    let most = u64::try_from((to - from) / 16).unwrap_or(0).checked_ilog2().unwrap_or(0);
    let lost = LOST_AT_ENDS / f64::from(wanted.to_scale).exp2();
    let still = |end: i64, sign: i64, bits: u32| {
        let value = |x: i64| at(wanted.real(x));
        places(0, 1i64 << bits).all(|by| (value(end + sign * by) - value(end)).abs() <= lost)
    };
    let all = |bits: &u32| match ends {
        Ends::Within => false,
        Ends::NotBelow => still(from, 1, *bits),
        Ends::NotAbove | Ends::Rectified => still(to, -1, *bits),
        Ends::Between => still(from, 1, *bits) && still(to, -1, *bits),
    };
    (1..=most).rev().find(all).unwrap_or(0)
}

/// The bits that the ReLU may skip which folds an operand, for a polynomial up to `to`: a thirty-second of its range, where
/// the function goes on beyond zero as it was.
fn fold_bits(wanted: &Wanted<'_>, to: i64) -> u32 {
    let bits = u64::try_from(to / 32).unwrap_or(0).checked_ilog2().unwrap_or(0);
    if wanted.breaks.iter().any(|&b| b.unsigned_abs() <= 1 << bits) { 0 } else { bits }
}

/// What it costs to bring an operand into the range.
fn cost_before(ends: Ends, place: &Place) -> Option<f64> {
    Some(match ends {
        Ends::Within => 0.0,
        Ends::NotBelow | Ends::NotAbove => place.relu(),
        Ends::Between => place.clipped(),
        Ends::Rectified => 2.0 * place.relu(),
    })
}

/// The range in which a polynomial has to be the function, as its ends are; none where the function is none of these.
fn range(wanted: &Wanted<'_>, ends: Ends) -> Option<[i64; 2]> {
    let Wanted { low, high, .. } = *wanted;
    let at = |x: i64| (wanted.at)(wanted.real(x));
    let flat = 0.5 / f64::from(wanted.to_scale).exp2();
    // The first place from which on, to the end, nothing changes.
    let still = |from: i64, to: i64, at: &dyn Fn(i64) -> f64| {
        let changes = |x: i64| places(x.min(to), x.max(to)).any(|beyond| (at(beyond) - at(x)).abs() > flat);
        let (mut bad, mut good) = (from, to);
        while good.abs_diff(bad) > 1 {
            let middle = bad + (good - bad) / 2;
            if changes(middle) { bad = middle } else { good = middle }
        }
        good
    };
    match ends {
        Ends::Within => Some([low, high]),
        Ends::NotBelow => Some([still(high, low, &at), high]).filter(|[from, _]| *from > low),
        Ends::NotAbove => Some([low, still(low, high, &at)]).filter(|[_, to]| *to < high),
        Ends::Between => {
            let (from, to) = (still(high, low, &at), still(low, high, &at));
            (from > low && to < high).then_some([from, to])
        }
        Ends::Rectified => {
            let far = high.min(low.saturating_neg());
            if far <= 0 || wanted.to_scale < wanted.from_scale {
                return None;
            }
            let even = |x: i64| {
                let (up, down) = (at(x) - wanted.real(x), at(-x));
                (up - down).abs() <= EVEN * (1.0 + wanted.real(x))
            };
            let far = high.max(low.saturating_neg());
            let rest = |x: i64| (wanted.at)(-wanted.real(x));
            if !places(0, high.min(low.saturating_neg())).all(even) {
                return None;
            }
            let to = still(0, far, &rest);
            (to < high.min(low.saturating_neg())).then_some([0, to])
        }
    }
}
