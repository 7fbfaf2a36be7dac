//! Functions in integers: what a protocol that compares, combines and multiplies can compute.
//!
//! [`domain`] says where a function is defined, bends and jumps, in these integers. There are two forms of one, each
//! the reference for what a program computes: `fit` cuts a range of integers into pieces on each of which a polynomial is
//! close enough, and [`Table`] has their coefficients, of which comparisons pick those of a piece; a `Curve` is one
//! polynomial, of an operand that ReLUs have cut off or folded. [`form()`] is the cheaper one.

mod cost;
mod curve;
mod domain;
mod fit;
mod form;
mod polynomial;
mod table;

pub(crate) use curve::{Curve, Ends};
pub use domain::{Undefined, beside_jumps, breaks, domain};
pub use fit::Wanted;
pub use form::{Form, form};
pub(crate) use polynomial::{Polynomial, Reach};
pub use table::Table;

pub(crate) use cost::LOCAL_ROUND;
use cost::Place;

/// The degrees that are tried, those first that are likely the best: what they cost bounds how far
/// the others are followed.
const DEGREES: [usize; 8] = [4, 5, 3, 6, 7, 2, 1, 0];

/// The most pieces that a function is cut into.
pub const MOST_PIECES: usize = 4096;

/// The cheapest table for a function over a range, and the bits that it costs an element, about; none where even
/// [`MOST_PIECES`] are not enough.
pub fn table(wanted: &Wanted<'_>) -> Option<(f64, Table)> {
    let place = Place::new(wanted);
    let mut best: Option<(f64, Table)> = None;
    for degree in DEGREES {
        let base = place.table(degree);
        let affordable = best
            .as_ref()
            .map_or(MOST_PIECES as f64, |(cost, _)| ((cost - base) / place.threshold()).ceil())
            .min(MOST_PIECES as f64);
        if affordable < 1.0 {
            continue;
        }
        let Some(pieces) = fit::pieces(wanted, degree, affordable as usize) else { continue };
        let cost = base + place.threshold() * (pieces.len() as f64 - 1.0);
        if best.as_ref().is_none_or(|(least, _)| cost < *least)
            && let Some(table) = Table::new(wanted, degree, &pieces)
        {
            best = Some((cost, table));
        }
    }
    best
}
