//! Public combinations along the first axis.

use serde::{Deserialize, Serialize};

use crate::rules::{Bounds, Check, Misfit, Named, Reach, Rule, Rules, Site, rule};

/// Combinations with public integers along the first axis: `[c, …]` becomes `[r, …]`, row i being
/// `Σ_j factors[i·c + j] · x_j + offsets[i]`. Nothing is rounded, and no protocol sends anything
/// for it. In the operand's ring. Where c or r is 1, that axis may be missing. The result has the
/// scale that the factors bring with them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Combine {
    /// r rows of c factors.
    pub factors: Vec<i64>,
    /// r offsets, in units of the result's scale.
    pub offsets: Vec<i64>,
}

impl Combine {
    /// c: the tensors of the operand that a row combines; zero where factors and offsets do not go
    /// together.
    pub fn columns(&self) -> usize {
        let rows = self.offsets.len();
        let columns = self.factors.len().checked_div(rows).unwrap_or(0);
        if columns * rows == self.factors.len() { columns } else { 0 }
    }
}

impl Named for Combine {
    fn name(&self) -> &'static str {
        "combine"
    }

    rule!(reaches what the data says);
}

impl Rules for Combine {
    rule!(takes 1);
    rule!(stays in the smallest ring);

    fn shape(&self, site: &Site<'_>) -> Check {
        site.has_elements()?;
        let x = site.first()?.shape;
        let (rows, columns) = (self.offsets.len(), self.columns());
        if columns == 0 {
            let reason = format!("{} factors do not make {rows} rows", self.factors.len());
            return Err(Misfit::new(Rule::Shape, reason));
        }
        // What follows the first axis; where it is 1, the axis may be missing.
        let rest = |shape: &[usize], first: usize| -> Vec<Vec<usize>> {
            let cut = shape.split_first().filter(|(n, _)| **n == first).map(|(_, rest)| rest.to_vec());
            cut.into_iter().chain((first == 1).then(|| shape.to_vec())).collect()
        };
        let after = rest(site.out.shape, rows);
        if rest(x, columns).iter().any(|shape| after.contains(shape)) {
            return Ok(());
        }
        let out = site.out.shape;
        let reason = format!("{rows} rows of {columns} factors do not lead from {x:?} to {out:?}");
        Err(Misfit::new(Rule::Shape, reason))
    }

    fn scale(&self, site: &Site<'_>) -> Check {
        let (x, out) = (site.first()?.scale, site.out.scale);
        if out >= x {
            return Ok(());
        }
        let reason = format!("its operand has {x} fractional bits, its result {out}");
        Err(Misfit::new(Rule::Scale, reason))
    }

    rule!(is as wide as all operands);
    rule!(compares nothing);
    rule!(is exact everywhere);
}
