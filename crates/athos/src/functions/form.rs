//! The forms in which functions are computed, and the choice of the cheaper one.

use cryptflow_operation::Bounds;

use super::polynomial::places;
use super::{Curve, Table, Wanted, table};

/// A function in integers.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Pieces, whose coefficients comparisons pick.
    Table(Table),
    /// One polynomial.
    Curve(CurveForm),
}

/// One polynomial of an operand that was cut off or folded.
#[derive(Clone, Debug, PartialEq)]
pub struct CurveForm(pub(crate) Curve);

/// The cheapest form of a function over a range; none where even [`super::MOST_PIECES`] are not enough, and one
/// polynomial is not, either.
pub fn form(wanted: &Wanted<'_>) -> Option<Form> {
    let pieces = table(wanted);
    let most = pieces.as_ref().map_or(f64::INFINITY, |(cost, _)| *cost);
    match Curve::cheapest(wanted, most) {
        Some(curve) => Some(Form::Curve(CurveForm(curve))),
        None => pieces.map(|(_, table)| Form::Table(table)),
    }
}

impl Form {
    /// What a program computes of an operand, every division rounded to the nearest.
    pub fn at(&self, x: i64) -> i64 {
        match self {
            Form::Table(table) => table.at(x),
            Form::Curve(CurveForm(curve)) => curve.at(x),
        }
    }

    /// The smallest and the largest result over all operands, with headroom for the rounding of truncations.
    pub fn bounds(&self) -> Bounds {
        match self {
            Form::Table(table) => table.bounds(),
            Form::Curve(CurveForm(curve)) => curve.bounds(),
        }
    }

    /// How many pieces there are.
    pub fn pieces(&self) -> usize {
        match self {
            Form::Table(table) => table.pieces(),
            Form::Curve(_) => 1,
        }
    }

    /// The degree of the polynomials.
    pub fn degree(&self) -> usize {
        match self {
            Form::Table(table) => table.degree,
            Form::Curve(CurveForm(curve)) => curve.polynomial.degree(),
        }
    }

    /// The largest difference from the function over operands from `low` to `high`, a unit for truncations included, in
    /// real numbers.
    pub fn largest_error(&self, wanted: &Wanted<'_>, low: i64, high: i64) -> f64 {
        match self {
            Form::Table(table) => table.largest_error(wanted.at, low, high),
            Form::Curve(CurveForm(curve)) => {
                let (low, high) = (low.max(wanted.low), high.min(wanted.high));
                let unit = f64::from(wanted.to_scale).exp2();
                let cut = curve.polynomial.high.max(-curve.polynomial.low);
                let inner = places(-cut, cut).filter(|x| (low..=high).contains(x));
                let error = |x: i64| (curve.at(x) as f64 / unit - (wanted.at)(wanted.real(x))).abs();
                places(low, high).chain(inner).map(error).fold(0.0, f64::max) + (1.0 + curve.lost()) / unit
            }
        }
    }
}
