//! Comparisons with public thresholds.

use serde::{Deserialize, Serialize};

use crate::bits::{self, Looks};
use crate::form::{Form, Integers};
use crate::rules::{Bounds, Check, Misfit, Named, Reach, Rule, Rules, Site, rule};

/// For each public threshold t, one after another along a new first axis, 1 where `x >= t` and 0
/// elsewhere: integers, whose scale is 0. Exact where every x − t, less 2^s − 1, fits `compare_bits` signed bits, s = `skipped`, but
/// for t <= x < t + 2^s − 1, where it may be 0 as well. The result is wide.
///
/// What is looked at is x − t − (2^s − 1), shifted right by s bits, in the parties' shares: a carry out of the bits that are
/// not looked at is lost. It is at least 0 for x >= t + 2^s − 1, and below 0 for x < t.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "F::CompareBits: Serialize, F::Skipped: Serialize",
    deserialize = "F::CompareBits: Deserialize<'de>, F::Skipped: Deserialize<'de>"
))]
pub struct Compare<F: Form = Integers> {
    /// The thresholds, in units of the value's scale.
    pub thresholds: Vec<i64>,
    /// Bits that a comparison looks at.
    pub compare_bits: F::CompareBits,
    /// The lowest bits of a difference that a comparison does not look at. From version 4 on.
    #[serde(default, skip_serializing_if = "F::looks_at_all")]
    pub skipped: F::Skipped,
}

impl Compare {
    /// What its comparisons look at.
    pub fn looks(&self) -> Looks {
        Looks { bits: self.compare_bits, skipped: self.skipped }
    }
}

impl<F: Form> Named for Compare<F> {
    fn name(&self) -> &'static str {
        "compare"
    }

    fn reach(&self, _: &[Bounds], _: u32) -> Reach {
        Reach::Always(Bounds { low: 0, high: 1 })
    }
}

impl Rules for Compare {
    rule!(takes 1);
    rule!(goes to a ring of its own);

    fn shape(&self, site: &Site<'_>) -> Check {
        site.has_elements()?;
        if self.thresholds.is_empty() {
            return Err(Misfit::new(Rule::Shape, "it compares with nothing"));
        }
        let x = site.first()?.shape.iter().copied();
        site.gives(&std::iter::once(self.thresholds.len()).chain(x).collect::<Vec<_>>())
    }

    fn scale(&self, site: &Site<'_>) -> Check {
        if site.out.scale == 0 {
            return Ok(());
        }
        let reason = format!("bits have no fractional bits, and {} are declared", site.out.scale);
        Err(Misfit::new(Rule::Scale, reason))
    }

    fn width(&self, _: &Site<'_>) -> Result<bool, Misfit> {
        Ok(true)
    }

    fn compared(&self, x: Bounds) -> Option<u32> {
        let needed = bits::threshold_bits(x.low, x.high, &self.thresholds, self.skipped);
        Some(needed.max(bits::smallest_comparison(self.skipped)))
    }

    fn exact(&self, site: &Site<'_>) -> Check {
        site.compares(self.compared(site.first()?.bounds), self.compare_bits, self.skipped)
    }
}
