//! Functions as piecewise polynomials, in integers: what a protocol that compares, combines and
//! multiplies can compute.
//!
//! [`domain`] says where a function is defined, bends and jumps, in these integers; `fit` cuts a
//! range of integers into pieces on each of which a polynomial is close enough; [`Table`] turns the
//! pieces into the integers that a program computes with, and is the reference for what it
//! computes.

mod domain;
mod fit;
mod table;

pub use domain::{Undefined, beside_jumps, breaks, domain};
pub use fit::Wanted;
pub use table::Table;

/// Bytes that a comparison with one more threshold costs an element, roughly: what the number of
/// pieces is weighed with.
const COMPARISON: f64 = 32.0;

/// Bytes that one more product costs, widened.
const PRODUCT: f64 = 36.0;

/// The degrees that are tried, those first that are likely the best: what they cost bounds how far
/// the others are followed.
const DEGREES: [usize; 8] = [4, 5, 3, 6, 7, 2, 1, 0];

/// The most pieces that a function is cut into.
pub const MOST_PIECES: usize = 4096;

/// The cheapest table for a function over a range; none where even [`MOST_PIECES`] are not enough.
pub fn table(wanted: &Wanted<'_>) -> Option<Table> {
    let mut best: Option<(f64, Table)> = None;
    for degree in DEGREES {
        let products = match degree {
            0 => 0.0,
            1 => 1.0,
            // The operand is normalised, its powers are taken, and all are multiplied by their
            // coefficients at once.
            _ => degree as f64 + 1.0,
        };
        let base = products * PRODUCT;
        let affordable =
            best.as_ref().map_or(MOST_PIECES as f64, |(cost, _)| ((cost - base) / COMPARISON).ceil());
        if affordable < 1.0 {
            continue;
        }
        let Some(pieces) = fit::pieces(wanted, degree, affordable as usize) else { continue };
        let cost = base + COMPARISON * (pieces.len() as f64 - 1.0);
        if best.as_ref().is_none_or(|(least, _)| cost < *least)
            && let Some(table) = Table::new(wanted, degree, &pieces)
        {
            best = Some((cost, table));
        }
    }
    best.map(|(_, table)| table)
}
