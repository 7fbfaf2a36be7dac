//! What is known of each function: where it is defined, where it bends or jumps.

use cryptflow_graph::{Function, Range};

use super::MOST_PIECES;

/// An end of a function's domain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// None: the function is defined as far as numbers reach.
    Open,
    /// The last number at which it is defined.
    At(f64),
    /// A number towards which it grows without limit.
    Pole(f64),
}

/// The ends of the domain that holds a number of this sign; for all but the reciprocal and its like the sign does not matter.
pub(crate) fn ends(function: Function, positive: bool) -> (End, End) {
    let beside_zero = if positive { (End::Pole(0.0), End::Open) } else { (End::Open, End::Pole(0.0)) };
    match function {
        Function::Log | Function::Rsqrt => (End::Pole(0.0), End::Open),
        Function::Sqrt => (End::At(0.0), End::Open),
        Function::Reciprocal => beside_zero,
        Function::Asin | Function::Acos => (End::At(-1.0), End::At(1.0)),
        Function::Acosh => (End::At(1.0), End::Open),
        Function::Atanh => (End::Pole(-1.0), End::Pole(1.0)),
        Function::Tan => {
            let half = std::f64::consts::FRAC_PI_2;
            (End::Pole(-half), End::Pole(half))
        }
        Function::Power { exponent } => match (exponent.fract() == 0.0, exponent < 0.0) {
            (true, false) => (End::Open, End::Open),
            (true, true) => beside_zero,
            (false, false) => (End::At(0.0), End::Open),
            (false, true) => (End::Pole(0.0), End::Open),
        },
        _ => (End::Open, End::Open),
    }
}

/// Whether fractional bits of a small operand are worth more than others': the function is steep near zero.
pub(crate) fn steep_at_zero(function: Function) -> bool {
    match function {
        Function::Log | Function::Rsqrt | Function::Sqrt | Function::Reciprocal => true,
        Function::Power { exponent } => exponent < 1.0,
        _ => false,
    }
}

/// The first integers X at which another smooth part of the function begins, for x = X · `unit` within `low` to `high`; none where
/// there are too many.
pub(crate) fn breaks(function: Function, low: i64, high: i64, unit: f64) -> Option<Vec<i64>> {
    let from = |x: f64| (x / unit).ceil() as i64;
    let above = |x: f64| (x / unit).floor() as i64 + 1;
    let breaks = match function {
        Function::Abs | Function::Softsign | Function::Elu { .. } | Function::Selu { .. } => vec![0],
        Function::Celu { .. } | Function::LeakyRelu { .. } => vec![0],
        Function::Sign => vec![0, 1],
        Function::HardSwish => vec![from(-3.0), above(3.0)],
        Function::HardSigmoid { alpha, beta } if alpha != 0.0 => {
            let (alpha, beta) = (f64::from(alpha), f64::from(beta));
            vec![from(-beta / alpha), from((1.0 - beta) / alpha)]
        }
        Function::ThresholdedRelu { alpha } => vec![above(alpha.into())],
        Function::Shrink { lambda, .. } => vec![from((-lambda).into()), above(lambda.into())],
        Function::Floor => each_integer(low, high, unit, &|k| from(k as f64))?,
        Function::Ceil => each_integer(low, high, unit, &|k| above(k as f64))?,
        Function::Truncate => {
            // Towards zero: from below an integer is reached, from above it is left.
            each_integer(low, high, unit, &|k| if k > 0 { from(k as f64) } else { above(k as f64) })?
        }
        Function::Round => {
            let half = |k: i64| {
                let x = k as f64 + 0.5;
                // Half way, an even number below stays.
                if k.rem_euclid(2) == 0 { above(x) } else { from(x) }
            };
            each_integer(low, high, unit, &half)?
        }
        _ => Vec::new(),
    };
    let mut breaks: Vec<i64> = breaks.into_iter().filter(|&b| b > low && b <= high).collect();
    breaks.sort_unstable();
    breaks.dedup();
    Some(breaks)
}

fn each_integer(low: i64, high: i64, unit: f64, first: &dyn Fn(i64) -> i64) -> Option<Vec<i64>> {
    let (from, to) = ((low as f64 * unit).floor() as i64 - 1, (high as f64 * unit).ceil() as i64 + 1);
    (to - from <= MOST_PIECES as i64 + 4).then(|| (from..=to).map(first).collect())
}

/// The part of an operand's possible values for which a function is made: within `bounds`, up to where it is defined. `seen` is what the
/// operand was seen to be, `wider` by how much a distance from a pole may shrink.
///
/// # Errors
/// Why the function is not defined on what was seen.
pub(crate) fn domain(
    function: Function,
    seen: Range,
    bounds: Range,
    unit: f64,
    wider: f64,
) -> Result<Range, String> {
    let (low, high) = ends(function, seen.low > 0.0);
    let outside = |x: f64, what: &str| {
        Err(format!(
            "its operand takes values from {:.6} to {:.6}, and {} is not defined {what} {x:.4}; where the model means other values, give \
             calibration data that shows them, or clip the operand",
            seen.low,
            seen.high,
            function.name()
        ))
    };
    let tolerance = 4.0 * unit;
    // Defined on either side of its pole.
    let both_sides = ends(function, true) != ends(function, false);
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
        return Err(format!("its operand's range, {:.6} to {:.6}, is none", seen.low, seen.high));
    }
    Ok(Range { low, high })
}
