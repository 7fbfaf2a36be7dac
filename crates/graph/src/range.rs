//! Ranges of real numbers.

/// The smallest and the largest real number that a value takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Smallest.
    pub low: f64,
    /// Largest.
    pub high: f64,
}

impl Range {
    /// The range that holds nothing yet.
    pub const EMPTY: Range = Range { low: f64::INFINITY, high: f64::NEG_INFINITY };

    /// Every number.
    pub const ALL: Range = Range { low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// Zero and 1, and what lies between.
    pub(crate) const FRACTION: Range = Range { low: 0.0, high: 1.0 };

    /// One number.
    pub(crate) fn point(value: f64) -> Range {
        Range { low: value, high: value }
    }

    /// The smallest range that holds both.
    pub fn union(self, other: Range) -> Range {
        Range { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// The smallest range that holds all of these.
    pub(crate) fn of_all(ranges: &[Range]) -> Range {
        ranges.iter().fold(Range::EMPTY, |all, &r| all.union(r))
    }

    /// The smallest range that holds this one and zero.
    pub fn with_zero(self) -> Range {
        Range { low: self.low.min(0.0), high: self.high.max(0.0) }
    }

    /// The largest magnitude.
    pub fn magnitude(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    /// A range that is wider on both sides.
    pub(crate) fn grown(self, by: f64) -> Range {
        Range { low: self.low - by, high: self.high + by }
    }

    /// What each end becomes, by a function that never falls.
    pub(crate) fn map(self, f: impl Fn(f64) -> f64) -> Range {
        Range { low: f(self.low), high: f(self.high) }
    }

    /// Sums of two values.
    pub fn plus(self, other: Range) -> Range {
        Range { low: self.low + other.low, high: self.high + other.high }
    }

    /// Differences of two values.
    pub fn minus(self, other: Range) -> Range {
        Range { low: self.low - other.high, high: self.high - other.low }
    }

    /// The larger of two values.
    pub(crate) fn maximum(self, other: Range) -> Range {
        Range { low: self.low.max(other.low), high: self.high.max(other.high) }
    }

    /// The smaller of two values.
    pub(crate) fn minimum(self, other: Range) -> Range {
        Range { low: self.low.min(other.low), high: self.high.min(other.high) }
    }

    /// Products of two values.
    pub fn times(self, other: Range) -> Range {
        let products =
            [self.low * other.low, self.low * other.high, self.high * other.low, self.high * other.high];
        Range {
            low: products.iter().copied().fold(f64::INFINITY, f64::min),
            high: products.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// Sums of so many values, or of up to so many where some may be padding.
    pub(crate) fn sum_of(self, count: usize, padded: bool) -> Range {
        let range = if padded { self.with_zero() } else { self };
        range.map(|end| end * count as f64)
    }

    /// Sums of one value or more.
    pub(crate) fn any_sum(self) -> Range {
        let low = if self.low >= 0.0 { self.low } else { f64::NEG_INFINITY };
        let high = if self.high <= 0.0 { self.high } else { f64::INFINITY };
        Range { low, high }
    }
}
