//! Numbers that left the bounds that a program declares for them. Comparisons look at no more bits
//! than bounds need: what is computed of such a number may have wrapped around, and look right.

use cryptflow_program::Value;
use serde::Serialize;

/// What left the bounds of a value, in real numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Beyond {
    /// The number that is farthest outside.
    pub value: f64,
    /// Smallest that was planned, margin included.
    pub low: f64,
    /// Largest that was planned.
    pub high: f64,
    /// How many numbers are outside.
    pub elements: usize,
}

impl Beyond {
    /// Of these fixed-point numbers of a value; `None` where all are within its bounds.
    pub fn of(value: &Value, numbers: &[i64]) -> Option<Beyond> {
        let (mut elements, mut farthest) = (0, (0, 0));
        for &x in numbers {
            let distance = value.low.saturating_sub(x).max(x.saturating_sub(value.high));
            if distance > 0 {
                elements += 1;
                farthest = farthest.max((distance, x));
            }
        }
        let unit = f64::from(value.scale).exp2();
        let real = |units: i64| units as f64 / unit;
        (elements > 0).then(|| Beyond {
            value: real(farthest.1),
            low: real(value.low),
            high: real(value.high),
            elements,
        })
    }

    /// How far outside the farthest number is.
    pub fn by(&self) -> f64 {
        (self.low - self.value).max(self.value - self.high)
    }
}
