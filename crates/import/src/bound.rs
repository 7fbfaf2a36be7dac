//! Inputs that are bound to a public value (`--set`): the model is compiled for it.

use super::tensor::Constant;
use super::value::{Fault, Ints, fits};
use cryptflow_graph::Array;

/// What an input is that is bound to this text: one number, or several with commas, of the shape that the model
/// says, where it does. A single number fills it.
pub(crate) fn bound(text: &str, integers: bool, shape: Option<Vec<usize>>) -> Result<Constant, Fault> {
    let wrong = || {
        let kind = if integers { "integer" } else { "number" };
        Fault::from(format!(
            "is bound to {text:?}, which is no {kind}. Give one, or several with commas, or true or false: --set NAME=16000"
        ))
    };
    let given: Vec<f64> =
        text.split(',').map(|part| number(part.trim())).collect::<Option<_>>().ok_or_else(wrong)?;
    if integers && given.iter().any(|v| v.fract() != 0.0) {
        return Err(wrong());
    }
    let shape = shape.unwrap_or_else(|| if given.len() == 1 { Vec::new() } else { vec![given.len()] });
    let elements = fits(&shape)?;
    crate::budget::check_made(&shape)?;
    let all = match given.as_slice() {
        &[one] => vec![one; elements],
        several if several.len() == elements => given,
        several => {
            let count = several.len();
            return Err(format!("is bound to {count} numbers, and has the shape {shape:?}").into());
        }
    };
    Ok(if integers {
        Constant::Int(Ints { shape, data: all.into_iter().map(|v| v as i64).collect() })
    } else {
        Constant::Float(Array::new(shape, all.into_iter().map(|v| v as f32).collect())?)
    })
}

/// A number that a float holds; flags are one and zero.
fn number(text: &str) -> Option<f64> {
    match text {
        "true" | "True" => Some(1.0),
        "false" | "False" => Some(0.0),
        text => text.parse().ok().filter(|v: &f64| v.is_finite() && v.abs() <= 9e15),
    }
}
