//! Numbers from a start to a limit, which does not belong to them, in steps: `Range` of either
//! framework.

use crate::value::Fault;

/// Integers, at most `most` of them.
pub(crate) fn count_integers(start: i64, limit: i64, step: i64, most: usize) -> Result<Vec<i64>, Fault> {
    if step == 0 {
        return Err("counts in steps of zero".into());
    }
    let (distance, width) = (i128::from(limit) - i128::from(start), i128::from(step));
    let forward = (distance > 0) == (width > 0);
    let n = if forward { distance.unsigned_abs().div_ceil(width.unsigned_abs()) } else { 0 };
    if n > most as u128 {
        return Err(format!("counts {n} numbers: too many").into());
    }
    Ok((0..n as i64).map(|i| start.wrapping_add(i.wrapping_mul(step))).collect())
}

/// The same of numbers with fractions.
pub(crate) fn count_floats(start: f32, limit: f32, step: f32, most: usize) -> Result<Vec<f32>, Fault> {
    let n = ((f64::from(limit) - f64::from(start)) / f64::from(step)).ceil().max(0.0);
    if n.is_nan() || n > most as f64 {
        return Err(format!("counts from {start} to {limit} in steps of {step}").into());
    }
    Ok((0..n as usize).map(|i| start + i as f32 * step).collect())
}
