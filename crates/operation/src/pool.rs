//! Windows over pictures: their maximum and their sum.

use cryptflow_ring::Window;
use serde::{Deserialize, Serialize};

use crate::bits::{self, Looks};
use crate::form::{Form, Integers};
use crate::rules::{Bounds, Check, Misfit, Named, Reach, Rule, Rules, Site, rule};

/// Maximum over windows of NHWC; padding never wins. Every difference of two elements of a window, less 2^s − 1, s =
/// `skipped`, must fit `compare_bits` signed bits. The result is one of the window's elements, exact without skipped bits; it is less than the largest
/// by less than 2^s − 1 for each level of the tournament along both axes. It is in the operand's ring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "F::CompareBits: Serialize, F::Skipped: Serialize",
    deserialize = "F::CompareBits: Deserialize<'de>, F::Skipped: Deserialize<'de>"
))]
pub struct MaxPool<F: Form = Integers> {
    /// Shape of the operand, NHWC.
    pub input: [usize; 4],
    /// The window.
    pub window: Window,
    /// Bits that a comparison looks at.
    pub compare_bits: F::CompareBits,
    /// The lowest bits of what is compared that the comparison does not look at: see [`crate::Compare`]. From version 4 on.
    #[serde(default, skip_serializing_if = "F::looks_at_all")]
    pub skipped: F::Skipped,
}

/// Sum over windows of NHWC (padding counts as zero), without division: the factor is folded into
/// the next weights or follows as a multiplication by it. Wide operand, wide result.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SumPool {
    /// Shape of the operand, NHWC.
    pub input: [usize; 4],
    /// The window.
    pub window: Window,
}

impl MaxPool {
    /// What its comparisons look at.
    pub fn looks(&self) -> Looks {
        Looks { bits: self.compare_bits, skipped: self.skipped }
    }
}

impl<F: Form> Named for MaxPool<F> {
    fn name(&self) -> &'static str {
        "max pool"
    }

    rule!(reaches what its operands do);
}

impl Named for SumPool {
    fn name(&self) -> &'static str {
        "sum pool"
    }

    fn reach(&self, operands: &[Bounds], _: u32) -> Reach {
        if Bounds::hull(operands).low >= 0 { Reach::NotNegative } else { Reach::Data }
    }
}

impl Rules for MaxPool {
    rule!(takes 1);
    rule!(stays in the smallest ring);

    fn shape(&self, site: &Site<'_>) -> Check {
        windows(site, self.input, &self.window)
    }

    rule!(keeps the scale);
    rule!(is as wide as all operands);

    fn compared(&self, x: Bounds) -> Option<u32> {
        let needed = bits::difference_bits(x.low, x.high, self.skipped);
        Some(needed.max(bits::smallest_comparison(self.skipped)))
    }

    fn exact(&self, site: &Site<'_>) -> Check {
        site.compares(self.compared(site.first()?.bounds), self.compare_bits, self.skipped)
    }
}

impl Rules for SumPool {
    rule!(takes 1);
    rule!(stays in the smallest ring);

    fn shape(&self, site: &Site<'_>) -> Check {
        windows(site, self.input, &self.window)
    }

    rule!(keeps the scale);

    fn width(&self, site: &Site<'_>) -> Result<bool, Misfit> {
        site.takes_wide()?;
        Ok(true)
    }

    rule!(compares nothing);
    rule!(is exact everywhere);
}

/// A window over an operand of this shape gives the declared result.
fn windows(site: &Site<'_>, input: [usize; 4], window: &Window) -> Check {
    site.has_elements()?;
    if site.first()?.shape != input {
        let reason = format!("it takes {input:?}, and its operand is not of this shape");
        return Err(Misfit::new(Rule::Shape, reason));
    }
    let [h, w] = window.output([input[1], input[2]]).map_err(|e| Misfit::new(Rule::Shape, e))?;
    site.gives(&[input[0], h, w, input[3]])
}
