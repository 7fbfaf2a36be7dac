//! Real numbers in units: a number v with s fractional bits is v · 2^s units.

/// `2^bits` in real numbers.
pub(crate) fn exp2(bits: u32) -> f64 {
    f64::from(bits).exp2()
}
