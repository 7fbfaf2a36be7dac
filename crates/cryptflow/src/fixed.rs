//! Between the numbers that people have and the fixed-point numbers that parties compute on.

/// Fixed-point numbers: `x · 2^scale`, to the nearest. What does not fit is cut off; the reader of
/// inputs has refused such numbers already.
pub fn encode(x: &[f32], scale: u32) -> Vec<i64> {
    let unit = unit(scale);
    x.iter().map(|&v| (f64::from(v) * unit).round() as i64).collect()
}

/// The numbers that fixed-point numbers stand for.
pub fn decode(x: &[i64], scale: u32) -> Vec<f32> {
    let unit = unit(scale);
    x.iter().map(|&v| (v as f64 / unit) as f32).collect()
}

/// `2^scale`, of any scale.
fn unit(scale: u32) -> f64 {
    f64::from(scale).exp2()
}
