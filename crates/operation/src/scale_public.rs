//! Multiplication by public factors.

use serde::{Deserialize, Serialize};

use crate::bits;
use crate::form::{Form, Integers};
use crate::linear::shifts_out;
use crate::rules::{Bounds, Check, Misfit, Named, Reach, Rule, Rules, Site, rule, smallest};

/// `x * factor / 2^shift`, rounded, for public factors. Wide operand, narrow result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "F::Factor: Serialize, F::Shift: Serialize",
    deserialize = "F::Factor: Deserialize<'de>, F::Shift: Deserialize<'de>"
))]
pub struct ScalePublic<F: Form = Integers> {
    /// One factor, or as many as the last axes of `x` have elements (repeated along the leading
    /// axes); signed, in two's complement.
    pub factors: Vec<F::Factor>,
    /// Bits to shift out.
    pub shift: F::Shift,
}

impl<F: Form> Named for ScalePublic<F> {
    fn name(&self) -> &'static str {
        "scale public"
    }

    rule!(reaches what the data says);
}

impl Rules for ScalePublic {
    rule!(takes 1);

    fn ring(&self, operands: &[u32], ring_bits: u32) -> Option<u32> {
        bits::scale_public_ring(smallest(operands, ring_bits), self.shift)
    }

    fn shape(&self, site: &Site<'_>) -> Check {
        site.has_elements()?;
        site.keeps_shape()?;
        shifts_out(self.shift, "a multiplication by public factors")?;
        let (n, out) = (self.factors.len(), site.out.shape);
        let mut axes = 1usize;
        let mut ends = out.iter().rev().map(|&d| {
            axes = axes.saturating_mul(d);
            axes
        });
        if n == 1 || ends.any(|elements| elements == n) {
            return Ok(());
        }
        let reason = format!("{n} factors are not as many as the last axes of {out:?} have elements");
        Err(Misfit::new(Rule::Shape, reason))
    }

    /// The factors bring any scale with them.
    fn scale(&self, _: &Site<'_>) -> Check {
        Ok(())
    }

    rule!(leads from wide to narrow);
    rule!(compares nothing);
    rule!(is exact everywhere);
}
