//! Pieces in integers: thresholds, and for each piece the numbers that the comparisons pick.

use cryptflow_operation::Bounds;

use super::fit::{Piece, Wanted};

/// A function in integers. For an operand X, the number of thresholds that it reaches is its piece.
/// With that piece's numbers:
///
/// * degree 0: `Y = constants`;
/// * degree 1: `T = X − centres`, `Y = constants + factors[0]·T / 2^…`;
/// * more: `U = (X − centres) · normalisers`, within −1 to 1 at `power_scale` bits, `S = U²`, and pairs of coefficients
///   `W_j = factors[2j − 1] + factors[2j]·U`, so that `Y = constants + factors[0]·U + S·W_1 + S²·W_2 + S³·W_3`, in as few
///   products after each other as there can be: up to degree 3 the sum follows at once; from degree 4 on
///   `W_1 + S·W_2`, or `S²` and `W_2 + S·W_3`, come before it.
///
/// Every division by a power of two rounds, and may be off by a unit more in a protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub(crate) from_scale: u32,
    pub(crate) to_scale: u32,
    /// Degree of the polynomials.
    pub degree: usize,
    /// Operands at which another piece begins: ascending, one fewer than there are pieces.
    pub thresholds: Vec<i64>,
    /// At the operand's scale; none for degree 0.
    pub(crate) centres: Vec<i64>,
    /// At `normaliser_scale`; none for degrees 0 and 1.
    pub(crate) normalisers: Vec<i64>,
    pub(crate) normaliser_scale: u32,
    /// Fractional bits of U and of its powers; of T for degree 1.
    pub(crate) power_scale: u32,
    /// For each power from 1 on, one number a piece; at `factor_scale`.
    pub(crate) factors: Vec<Vec<i64>>,
    /// That of powers from degree 2 on: what they are multiplied with is multiplied again.
    pub(crate) factor_scale: u32,
    /// At `to_scale`.
    pub(crate) constants: Vec<i64>,
    /// The largest |T| or |U|, in units.
    pub(crate) reach: i64,
    /// The largest |T|, in units.
    pub(crate) farthest: i64,
    low: i64,
    high: i64,
}

/// Bits of the largest product, with headroom for its sign, for rounding, for the bit that a
/// truncation costs, and for the room of what the result is an operand of.
const PRODUCT_BITS: f64 = 54.0;

/// Bits that powers and factors have beyond those of the result, if there is room for them.
const FINER: u32 = 6;

/// A number in units, where it fits a word.
fn rounded(v: f64, unit: f64) -> Option<i64> {
    let v = (v * unit).round();
    (v.abs() < 2f64.powi(60)).then_some(v as i64)
}

impl Table {
    /// The table of these pieces; none where their numbers do not fit a word.
    pub(super) fn new(wanted: &Wanted<'_>, degree: usize, pieces: &[Piece]) -> Option<Table> {
        let unit = f64::from(wanted.to_scale).exp2();
        let constant = |p: &Piece| rounded(p.coefficients[0], unit);
        let mut table = Table {
            from_scale: wanted.from_scale,
            to_scale: wanted.to_scale,
            degree,
            thresholds: pieces.iter().skip(1).map(|p| p.start).collect(),
            centres: Vec::new(),
            normalisers: Vec::new(),
            normaliser_scale: 0,
            power_scale: 0,
            factors: Vec::new(),
            factor_scale: 0,
            constants: pieces.iter().map(constant).collect::<Option<_>>()?,
            reach: 0,
            farthest: 0,
            low: wanted.low,
            high: wanted.high,
        };
        if degree == 0 {
            return Some(table);
        }
        table.centres = pieces.iter().map(|p| p.centre).collect();
        table.farthest = pieces.iter().map(|p| (p.end - p.centre).max(p.centre - p.start)).max()?;
        let largest_power = if degree == 1 {
            table.power_scale = wanted.from_scale;
            table.reach = table.farthest;
            wanted.real(table.farthest).max(f64::MIN_POSITIVE)
        } else {
            table.normalise(wanted, pieces)?;
            1.0
        };
        table.choose_factors(wanted, pieces, largest_power)?;
        Some(table)
    }

    /// The factors that bring every piece's operands to within −1 and 1; none where products leave too few bits.
    fn normalise(&mut self, wanted: &Wanted<'_>, pieces: &[Piece]) -> Option<()> {
        let reach = pieces.iter().map(|p| p.reach).max()?;
        // Finer than the result, because every product rounds; coarse enough for the products of
        // what is largest.
        let sum = |p: &Piece| p.coefficients.iter().skip(1).map(|c| c.abs()).sum::<f64>();
        let largest = pieces.iter().map(sum).fold(1.0, f64::max).log2().ceil();
        let most = ((PRODUCT_BITS - largest) / 2.0).floor();
        if most <= f64::from(wanted.to_scale) / 2.0 {
            return None;
        }
        self.power_scale = (wanted.to_scale + FINER).min(most as u32);
        let one = reach.max(wanted.from_scale).max(self.power_scale + 1);
        self.normaliser_scale = one - wanted.from_scale;
        self.normalisers = pieces.iter().map(|p| 1i64 << (one - p.reach)).collect();
        // A truncation may be off by a unit.
        self.reach = (1 << self.power_scale) + 2;
        Some(())
    }

    /// The factors of powers, which are this large at most; none where products leave no headroom
    /// for them.
    fn choose_factors(&mut self, wanted: &Wanted<'_>, pieces: &[Piece], largest_power: f64) -> Option<()> {
        let degree = self.degree;
        // The polynomial is one of u; a polynomial of degree 1 is computed from T.
        let coefficient = |p: &Piece, i: usize| {
            let slope = if degree == 1 { f64::from(wanted.from_scale) - f64::from(p.reach) } else { 0.0 };
            p.coefficients[i] * slope.exp2()
        };
        let all: Vec<Vec<f64>> =
            (1..=degree).map(|i| pieces.iter().map(|p| coefficient(p, i)).collect()).collect();
        let largest: f64 = (0..pieces.len())
            .map(|p| all.iter().map(|row| row[p].abs()).sum::<f64>())
            .fold(f64::MIN_POSITIVE, f64::max);
        // Fine enough that rounding the factors does not matter, but no finer than the products
        // have headroom for.
        if degree > 1 {
            self.factor_scale = self.power_scale;
            return self.round_factors(all);
        }
        let fine = f64::from(wanted.to_scale) + 3.0 + largest_power.log2().max(0.0).ceil();
        let products = (largest * largest_power).log2().ceil().max(0.0);
        let headroom = (PRODUCT_BITS - f64::from(self.power_scale) - products).floor();
        let least = f64::from(wanted.to_scale + 1) - f64::from(self.power_scale);
        let scale = fine.min(headroom).max(least).max(0.0);
        if scale > headroom {
            return None;
        }
        self.factor_scale = scale as u32;
        self.round_factors(all)
    }

    fn round_factors(&mut self, all: Vec<Vec<f64>>) -> Option<()> {
        let unit = f64::from(self.factor_scale).exp2();
        for row in all {
            self.factors.push(row.into_iter().map(|c| rounded(c, unit)).collect::<Option<_>>()?);
        }
        Some(())
    }

    /// How far from zero pairs of coefficients are, and sums of them with powers of U, those from U² on: for bounds.
    pub(crate) fn largest_pair(&self) -> i64 {
        let of_piece = |p: usize| self.factors.iter().skip(1).map(|row| row[p].abs()).sum::<i64>();
        let most = (0..self.pieces()).map(of_piece).max().unwrap_or(0);
        // Powers of U do not exceed U by more than rounding.
        most + most / 64 + 16
    }

    /// How many pieces there are.
    pub fn pieces(&self) -> usize {
        self.constants.len()
    }

    /// What the products come to at most, in units of the result: for the bounds of the sum.
    pub(crate) fn largest_sum(&self) -> i64 {
        let power = i128::from(self.reach);
        let one = |p: usize| -> i128 {
            let factors: i128 = self.factors.iter().map(|row| i128::from(row[p].abs())).sum();
            let shift = self.factor_scale + self.power_scale - self.to_scale;
            // Powers of U do not exceed U by more than rounding.
            ((factors * (power + power / 64 + 8)) >> shift) + 4
        };
        let most = (0..self.pieces()).map(one).max().unwrap_or(0);
        i64::try_from(most).unwrap_or(i64::MAX)
    }

    /// What the program computes, every division rounded to the nearest.
    pub fn at(&self, x: i64) -> i64 {
        let piece = self.thresholds.partition_point(|&t| t <= x);
        let round = |v: i128, shift: u32| if shift == 0 { v } else { (v + (1 << (shift - 1))) >> shift };
        let constant = i128::from(self.constants[piece]);
        if self.degree == 0 {
            return self.constants[piece];
        }
        let t = i128::from(x - self.centres[piece]);
        let mut base = t;
        if self.degree > 1 {
            let shift = self.from_scale + self.normaliser_scale - self.power_scale;
            base = round(t * i128::from(self.normalisers[piece]), shift);
        }
        let factor = |i: usize| self.factors.get(i).map_or(0, |row| i128::from(row[piece]));
        let times = |a: i128, b: i128| round(a * b, self.power_scale);
        let pair = |j: usize| factor(2 * j - 1) + times(base, factor(2 * j));
        let square = times(base, base);
        let sum = base * factor(0)
            + match self.degree {
                0 | 1 => 0,
                2 | 3 => square * pair(1),
                4 | 5 => square * (pair(1) + times(square, pair(2))),
                _ => square * pair(1) + times(square, square) * (pair(2) + times(square, pair(3))),
            };
        let shift = self.factor_scale + self.power_scale - self.to_scale;
        (constant + round(sum, shift)) as i64
    }

    /// The smallest and the largest result over all operands, with headroom for the rounding of
    /// truncations.
    pub fn bounds(&self) -> Bounds {
        let edges = self.thresholds.iter().flat_map(|&t| [t - 1, t]);
        let points = (self.high - self.low).clamp(1, 2000);
        let grid = (0..=points).map(|i| {
            self.low + (i128::from(self.high - self.low) * i128::from(i) / i128::from(points)) as i64
        });
        let results = edges.chain(grid).map(|x| self.at(x.clamp(self.low, self.high)));
        let Bounds { low, high } = Bounds::of(results);
        if self.degree == 0 {
            return Bounds { low, high };
        }
        let slack = 4 + self.degree as i64 + (high - low) / 256;
        Bounds { low: low - slack, high: high + slack }
    }

    /// The largest difference from the function over operands from `low` to `high`, a unit for
    /// truncations included.
    pub fn largest_error(&self, at: &dyn Fn(f64) -> f64, low: i64, high: i64) -> f64 {
        let (low, high) = (low.max(self.low), high.min(self.high));
        let points = (high - low).clamp(0, 2000);
        let unit = f64::from(self.to_scale).exp2();
        let error = |i: i64| {
            let along = i128::from(high - low) * i128::from(i) / i128::from(points.max(1));
            let x = low + along as i64;
            let real = x as f64 / f64::from(self.from_scale).exp2();
            (self.at(x) as f64 / unit - at(real)).abs()
        };
        let arithmetic = if self.degree == 0 { 0.0 } else { 1.0 / unit };
        (0..=points).map(error).fold(0.0, f64::max) + arithmetic
    }
}
