//! Between the numbers that people have and the fixed-point numbers that parties compute on.

use cryptflow_athos::decoded;
use cryptflow_program::Program;

use crate::error::{Error, Result};

/// The inputs of a run, in the program's order, at the scales of their values.
///
/// # Errors
/// The program declares no value for an input.
pub fn inputs(program: &Program, batch: &[Vec<f32>]) -> Result<Vec<Vec<i64>>> {
    let encoded = program.inputs.iter().zip(batch).map(|(input, data)| {
        let value = program.values.get(input.value.0);
        let value =
            value.ok_or_else(|| Error::new("an input of the model has no value; compile it again"))?;
        Ok(input.integers(data, value.scale))
    });
    encoded.collect()
}

/// Fixed-point numbers: `x · 2^scale`, to the nearest. What does not fit is cut off; the reader of
/// inputs has refused such numbers already.
pub fn encode(x: &[f32], scale: u32) -> Vec<i64> {
    let unit = unit(scale);
    x.iter().map(|&v| (f64::from(v) * unit).round() as i64).collect()
}

/// The numbers that fixed-point numbers stand for.
pub fn decode(x: &[i64], scale: u32) -> Vec<f32> {
    decode_to(x, scale, None)
}

/// The same to so many fractional bits; to all where there are fewer, or none is said.
pub fn decode_to(x: &[i64], scale: u32, digits: Option<u32>) -> Vec<f32> {
    decoded(x, scale, digits).into_iter().map(|v| v as f32).collect()
}

/// `2^scale`, of any scale.
fn unit(scale: u32) -> f64 {
    f64::from(scale).exp2()
}
