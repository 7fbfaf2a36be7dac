//! ReLU and its clipped form.

use serde::{Deserialize, Serialize};

use crate::bits::{self, Looks};
use crate::form::{Form, Integers};
use crate::rules::{Bounds, Check, Misfit, Named, Reach, Rule, Rules, Site, rule, smallest};

/// What an activation computes of each element.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[serde(bound(serialize = "F::Limit: Serialize", deserialize = "F::Limit: Deserialize<'de>"))]
pub enum Rectifier<F: Form = Integers> {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), limit)`, the limit in units of the value's scale (ReLU6: `6 << scale`).
    ClippedRelu {
        /// Upper limit, as a fixed-point number; positive.
        limit: F::Limit,
    },
}

/// An activation. For −2^(c−1) + 2^s − 1 <= x < 2^(c−1) (of a clipped ReLU also of x − limit), c = `compare_bits` and s =
/// `skipped`, it is exact, but for 0 < x < 2^s − 1 (it may be zero there, too) and limit − 2^s < x < limit (it may be the limit).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "F::Limit: Serialize, F::CompareBits: Serialize, F::Skipped: Serialize, F::Widens: Serialize",
    deserialize = "F::Limit: Deserialize<'de>, F::CompareBits: Deserialize<'de>, F::Skipped: Deserialize<'de>, \
                   F::Widens: Deserialize<'de>"
))]
pub struct Activation<F: Form = Integers> {
    /// Which one.
    pub function: Rectifier<F>,
    /// Bits that the comparison looks at.
    pub compare_bits: F::CompareBits,
    /// The lowest bits of what is compared that the comparison does not look at: see [`crate::Compare`]. From version 4 on.
    #[serde(default, skip_serializing_if = "F::looks_at_all")]
    pub skipped: F::Skipped,
    /// Whether the result is wide.
    pub widen: F::Widens,
}

impl Activation {
    /// What its comparisons look at.
    pub fn looks(&self) -> Looks {
        Looks { bits: self.compare_bits, skipped: self.skipped }
    }
}

impl<F: Form> Named for Activation<F> {
    fn name(&self) -> &'static str {
        match self.function {
            Rectifier::Relu => "relu",
            Rectifier::ClippedRelu { .. } => "clipped relu",
        }
    }

    fn reach(&self, operands: &[Bounds], scale: u32) -> Reach {
        let x = Bounds::hull(operands);
        let top = match self.function {
            Rectifier::Relu => i64::MAX,
            Rectifier::ClippedRelu { limit } => {
                i64::try_from(F::limit_units(limit, scale)).unwrap_or(i64::MAX)
            }
        };
        Reach::Follows(Bounds { low: x.low.clamp(0, top), high: x.high.clamp(0, top) })
    }
}

impl Rules for Activation {
    rule!(takes 1);

    fn ring(&self, operands: &[u32], ring_bits: u32) -> Option<u32> {
        Some(if self.widen { ring_bits } else { smallest(operands, ring_bits) })
    }

    rule!(keeps the shape);
    rule!(keeps the scale);

    fn width(&self, site: &Site<'_>) -> Result<bool, Misfit> {
        Ok(self.widen || site.all_wide())
    }

    fn compared(&self, x: Bounds) -> Option<u32> {
        let needed = match self.function {
            Rectifier::Relu => bits::threshold_bits(x.low, x.high, &[0], self.skipped),
            Rectifier::ClippedRelu { limit } => bits::clipped_bits(x.low, x.high, limit, self.skipped),
        };
        Some(needed.max(bits::smallest_comparison(self.skipped)))
    }

    fn exact(&self, site: &Site<'_>) -> Check {
        let x = site.first()?;
        match self.function {
            Rectifier::ClippedRelu { limit }
                if limit == 0 || limit > bits::largest(x.ring).unsigned_abs() =>
            {
                let reason = format!("its limit {limit} is zero, or does not fit a ring of {} bits", x.ring);
                return Err(Misfit::new(Rule::Ring, reason));
            }
            Rectifier::ClippedRelu { limit } if limit < bits::smallest_limit(self.skipped) => {
                let reason = format!("its comparisons skip {} bits, and its limit is {limit}", self.skipped);
                return Err(Misfit::new(Rule::Ring, reason));
            }
            Rectifier::Relu | Rectifier::ClippedRelu { .. } => {}
        }
        site.compares(self.compared(x.bounds), self.compare_bits, self.skipped)
    }
}
