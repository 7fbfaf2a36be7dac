//! Cutting a range into pieces on each of which a polynomial is close enough to a function.

use std::sync::LazyLock;

use super::DEGREES;

/// A function to be tabulated.
pub struct Wanted<'a> {
    /// The function, of real numbers; defined and finite wherever an operand may be.
    pub at: &'a dyn Fn(f64) -> f64,
    /// The smallest integer that stands for an operand.
    pub low: i64,
    /// The largest.
    pub high: i64,
    /// Fractional bits of operands.
    pub from_scale: u32,
    /// Fractional bits of results.
    pub to_scale: u32,
    /// Where other smooth parts begin, ascending, inside of the range.
    pub breaks: Vec<i64>,
    /// How many elements are computed at once: what rounds are worth beside them.
    pub elements: usize,
    /// What a round is worth on the network that this is for, in the bits that its slowest link carries meanwhile.
    pub bits_per_round: u64,
}

impl Wanted<'_> {
    pub(super) fn real(&self, x: i64) -> f64 {
        x as f64 / f64::from(self.from_scale).exp2()
    }

    /// Whether so large an error is allowed at an operand: half a unit of the result, or, where the function
    /// is steep, what a quarter of a unit of the operand makes. Integers have no units that are rounded.
    pub(super) fn allows(&self, error: f64, x: i64) -> bool {
        let half = 0.5 / f64::from(self.to_scale).exp2();
        if error <= half {
            return true;
        }
        let step = (x + 1).min(self.high) - (x - 1).max(self.low);
        if step == 0 || self.from_scale == 0 {
            return false;
        }
        let across =
            (self.at)(self.real((x + 1).min(self.high))) - (self.at)(self.real((x - 1).max(self.low)));
        error <= half.max(0.25 * (across / step as f64).abs())
    }
}

/// One piece: operands from `start` to `end`. With u = (X − centre) / 2^reach, which is within −1
/// to 1, the function is about `Σ coefficients[i] · u^i`.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) centre: i64,
    pub(super) reach: u32,
    pub(super) coefficients: Vec<f64>,
}

/// Points of a piece at which the error is looked at, at most.
const POINTS: i64 = 48;

/// Where these points are in a long piece, from 0 to 1: more of them at the ends, where a polynomial first leaves
/// the function.
static PLACES: LazyLock<Vec<f64>> = LazyLock::new(|| {
    (0..=POINTS).map(|i| 0.5 - 0.5 * (std::f64::consts::PI * i as f64 / POINTS as f64).cos()).collect()
});

/// Chebyshev points of a piece, and one more, at most.
const MOST_POINTS: usize = DEGREES.len() + 1;

/// For each number of points n the values of cos(i·angle) at the k-th of them, `[n][i][k]`: the points
/// themselves are those for i = 1.
static COSINES: LazyLock<Vec<Vec<[f64; MOST_POINTS]>>> = LazyLock::new(|| {
    let of = |n: usize, i: usize| {
        let mut row = [0.0; MOST_POINTS];
        for (k, cosine) in row.iter_mut().enumerate().take(n) {
            *cosine = (i as f64 * (std::f64::consts::PI * (k as f64 + 0.5) / n as f64)).cos();
        }
        row
    };
    (0..MOST_POINTS).map(|n| (0..n.max(2)).map(|i| of(n, i)).collect()).collect()
});

/// Pieces of polynomials of this degree, each as long as it can be; none where more than `most` are
/// needed.
pub(super) fn pieces(wanted: &Wanted<'_>, degree: usize, most: usize) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut start = wanted.low;
    let mut breaks = wanted.breaks.iter().copied().filter(|&b| b > wanted.low && b <= wanted.high).peekable();
    loop {
        while breaks.next_if(|&b| b <= start).is_some() {}
        let end = breaks.peek().map_or(wanted.high, |b| b - 1);
        if pieces.len() == most {
            return None;
        }
        let piece = longest(wanted, degree, start, end);
        let last = piece.end;
        pieces.push(piece);
        if last >= wanted.high {
            return Some(pieces);
        }
        start = last + 1;
    }
}

/// The longest piece from `start`, up to `end`.
fn longest(wanted: &Wanted<'_>, degree: usize, start: i64, end: i64) -> Piece {
    let whole = fitted(wanted, degree, start, end);
    if close(wanted, &whole) {
        return whole;
    }
    // A single number always fits: a constant.
    let mut best = fitted(wanted, degree, start, start);
    let (mut good, mut bad) = (0i64, end.saturating_sub(start));
    let mut step = 1;
    while good + step < bad {
        let piece = fitted(wanted, degree, start, start + good + step);
        if close(wanted, &piece) {
            good += step;
            best = piece;
            step *= 2;
        } else {
            bad = good + step;
            break;
        }
    }
    while bad - good > 1 + good / 64 {
        let middle = good + (bad - good) / 2;
        let piece = fitted(wanted, degree, start, start + middle);
        if close(wanted, &piece) {
            good = middle;
            best = piece;
        } else {
            bad = middle;
        }
    }
    best
}

/// The polynomial through the Chebyshev points of a piece.
fn fitted(wanted: &Wanted<'_>, degree: usize, start: i64, end: i64) -> Piece {
    // Of bounds that no ring holds, whose table is refused, too.
    let span = end.saturating_sub(start);
    let centre = start.saturating_add(span / 2);
    let radius = end.saturating_sub(centre).max(centre.saturating_sub(start));
    let reach = radius.max(1).ilog2() + u32::from(!(radius.max(1) as u64).is_power_of_two());
    let scale = f64::from(reach).exp2();
    let unit = 1.0 / f64::from(wanted.from_scale).exp2();
    let middle = (start as f64 + end as f64) / 2.0;
    let half = (end as f64 - start as f64) / 2.0;
    // What lies at one place is a constant.
    let n = if end == start { 1 } else { degree + 1 };
    let cosines = &COSINES[n];
    let mut values = [0.0; MOST_POINTS];
    for (k, value) in values.iter_mut().enumerate().take(n) {
        *value = (wanted.at)(unit * (middle + half * cosines[1][k]));
    }
    // Coefficients of the Chebyshev polynomials, then of the powers.
    let chebyshev = |i: usize| {
        let sum: f64 = values[..n].iter().zip(&cosines[i]).map(|(v, cosine)| v * cosine).sum();
        sum * if i == 0 { 1.0 } else { 2.0 } / n as f64
    };
    let mut powers = [0.0; MOST_POINTS];
    let (mut before, mut polynomial) = ([0.0; MOST_POINTS], [0.0; MOST_POINTS]);
    polynomial[0] = 1.0;
    for i in 0..n {
        let c = chebyshev(i);
        powers.iter_mut().zip(&polynomial).for_each(|(p, t)| *p += c * t);
        let mut next = [0.0; MOST_POINTS];
        for k in 0..n {
            let factor = if i == 0 { 1.0 } else { 2.0 };
            next[k] =
                factor * if k == 0 { 0.0 } else { polynomial[k - 1] } - if i == 0 { 0.0 } else { before[k] };
        }
        before = std::mem::replace(&mut polynomial, next);
    }
    // The polynomial's own variable is slope · u + offset: put that in, power by power.
    let half = half.max(0.5);
    let (slope, offset) = (scale / half, (centre as f64 - middle) / half);
    let mut coefficients = vec![0.0; degree + 1];
    for &p in powers[..n].iter().rev() {
        for i in (0..=degree).rev() {
            let below = if i == 0 { 0.0 } else { coefficients[i - 1] };
            coefficients[i] = coefficients[i] * offset + below * slope;
        }
        coefficients[0] += p;
    }
    Piece { start, end, centre, reach, coefficients }
}

/// Whether a piece is close enough at every point that is looked at.
fn close(wanted: &Wanted<'_>, piece: &Piece) -> bool {
    let length = piece.end - piece.start;
    let points = length.min(POINTS);
    let places = &*PLACES;
    (0..=points).all(|i| {
        let x = if length <= POINTS {
            piece.start + i
        } else {
            piece.start + (places[i as usize] * length as f64).round() as i64
        };
        let value = piece.at(x);
        let error = (value - (wanted.at)(wanted.real(x))).abs();
        wanted.allows(error, x)
    })
}

impl Piece {
    /// The polynomial at an operand.
    fn at(&self, x: i64) -> f64 {
        let u = (x - self.centre) as f64 / f64::from(self.reach).exp2();
        self.coefficients.iter().rev().fold(0.0, |sum, c| sum * u + c)
    }
}
