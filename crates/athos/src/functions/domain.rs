//! A function's domain and its breaks over the integers that a fixed-point operand may be.

use cryptflow_graph::operations::{Break, Domain, End};
use cryptflow_graph::{Function, Range};

use super::MOST_PIECES;

/// Why a function cannot be made for its operand.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Undefined {
    /// The operand leaves the function's domain.
    #[error(
        "its operand takes values from {:.6} to {:.6}, and {function} is not defined {side} {end:.4}",
        .seen.low, .seen.high
    )]
    Outside {
        /// What the operand was seen to be.
        seen: Range,
        /// The function.
        function: &'static str,
        /// Where it is not defined, seen from `end`: `below`, `at or above`, …
        side: &'static str,
        /// An end of its domain.
        end: f64,
    },
    /// The operand takes no value at all.
    #[error("its operand's range, {:.6} to {:.6}, is none", .0.low, .0.high)]
    Nothing(Range),
}

/// The first integers X at which another smooth part of the function begins, for x = X · `unit`
/// within `low` to `high`; none where there are too many. What is off from such a place by `tie` units
/// counts as being there.
pub fn breaks(function: Function, low: i64, high: i64, unit: f64, tie: i64) -> Option<Vec<i64>> {
    let places = function.breaks(low as f64 * unit, high as f64 * unit, MOST_PIECES + 4)?;
    let first = |place| match place {
        Break::From(x) => (x / unit).ceil() as i64 - tie,
        Break::Above(x) => (x / unit).floor() as i64 + 1 + tie,
    };
    let mut breaks: Vec<i64> = places.into_iter().map(first).filter(|&b| b > low && b <= high).collect();
    breaks.sort_unstable();
    breaks.dedup();
    Some(breaks)
}

/// What a function is at `x`; or, where it jumps no farther away than `tie`, at the jump.
pub fn beside_jumps(function: Function, x: f64, tie: f64) -> f64 {
    const FEW: usize = 8;
    if tie == 0.0 || !function.jumps() {
        return function.at(x);
    }
    let places = function.breaks(x - tie, x + tie, FEW).unwrap_or_default();
    let near =
        places.into_iter().map(|(Break::From(at) | Break::Above(at))| at).find(|at| (at - x).abs() <= tie);
    function.at(near.unwrap_or(x))
}

/// The part of an operand's possible values for which a function is made: within `bounds`, up to
/// where it is defined. `seen` is what the operand was seen to be, `wider` by how much a distance
/// from a pole may shrink.
///
/// # Errors
/// A function that is not defined on what was seen.
pub fn domain(
    function: Function,
    seen: Range,
    bounds: Range,
    unit: f64,
    wider: f64,
) -> Result<Range, Undefined> {
    let (low, high) = function.domain().ends(seen.low > 0.0);
    let outside = |end: f64, side| Err(Undefined::Outside { seen, function: function.name(), side, end });
    let tolerance = 4.0 * unit;
    let both_sides = function.domain() == Domain::BesideZero;
    let low = match low {
        End::Open => bounds.low,
        End::At(x) if seen.low < x - tolerance => return outside(x, "below"),
        End::At(x) => bounds.low.max(x),
        End::Pole(x) if seen.low <= x => return outside(x, if both_sides { "at" } else { "at or below" }),
        End::Pole(x) => bounds.low.max(x + ((seen.low - x) / wider).max(unit)),
    };
    let high = match high {
        End::Open => bounds.high,
        End::At(x) if seen.high > x + tolerance => return outside(x, "above"),
        End::At(x) => bounds.high.min(x),
        End::Pole(x) if seen.high >= x => return outside(x, if both_sides { "at" } else { "at or above" }),
        End::Pole(x) => bounds.high.min(x - ((x - seen.high) / wider).max(unit)),
    };
    if low > high {
        return Err(Undefined::Nothing(seen));
    }
    Ok(Range { low, high })
}
