//! The arguments' own notations.

use cryptflow_athos::compile::{Ring, Scale};

/// `auto`, or a number of bits.
pub(crate) fn scale(text: &str) -> Result<Scale, String> {
    bits(text).map(|b| b.map_or(Scale::Auto, Scale::Bits))
}

/// `auto`, or a number of bits.
pub(super) fn ring(text: &str) -> Result<Ring, String> {
    bits(text).map(|b| b.map_or(Ring::Auto, Ring::Bits))
}

fn bits(text: &str) -> Result<Option<u32>, String> {
    if text == "auto" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| "it must be `auto` or a number of bits".to_string())
}

/// `224x224`, or `224` for a square.
pub(super) fn size(text: &str) -> Result<[usize; 2], String> {
    let numbers: Option<Vec<usize>> = text.split('x').map(|n| n.parse().ok().filter(|&n| n > 0)).collect();
    match numbers.as_deref() {
        Some([side]) => Ok([*side; 2]),
        Some([height, width]) => Ok([*height, *width]),
        _ => Err("it must be height x width, as in 224x224".into()),
    }
}

/// `-1,1`.
pub(super) fn range(text: &str) -> Result<(f64, f64), String> {
    let numbers: Option<Vec<f64>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some([low, high]) if low <= high && low.is_finite() && high.is_finite() => Ok((*low, *high)),
        _ => Err("it must be two numbers, the smaller one first, as in -1,1".into()),
    }
}

/// `x=1,28,28,1`; also `x=1x28x28x1`, and `:0` after the name is left out.
pub(crate) fn input(text: &str) -> Result<(String, Vec<usize>), String> {
    let wrong = || "it must be a name and a shape, as in x=1,28,28,1".to_string();
    let (name, shape) = text.rsplit_once('=').ok_or_else(wrong)?;
    let shape = shape.trim_matches(['[', ']']);
    let numbers = if shape.is_empty() {
        Vec::new()
    } else {
        let parts = shape.split([',', 'x']).map(|n| n.trim().parse().map_err(|_| wrong()));
        parts.collect::<Result<Vec<usize>, _>>()?
    };
    let name = name.strip_suffix(":0").unwrap_or(name);
    if name.is_empty() { Err(wrong()) } else { Ok((name.to_string(), numbers)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations() {
        assert_eq!(scale("auto"), Ok(Scale::Auto));
        assert_eq!(ring("37"), Ok(Ring::Bits(37)));
        assert!(scale("twelve").is_err() && scale("").is_err() && ring("-1").is_err());
        assert_eq!(size("227x224"), Ok([227, 224]));
        assert_eq!(size("32"), Ok([32, 32]));
        assert!(size("0x3").is_err() && size("1x2x3").is_err() && size("x").is_err());
        assert_eq!(range("-1,1"), Ok((-1.0, 1.0)));
        assert!(range("1,-1").is_err() && range("1").is_err() && range("0,inf").is_err());
        assert_eq!(input("x=1,28,28,1"), Ok(("x".into(), vec![1, 28, 28, 1])));
        assert_eq!(input("scope/x:0=[2x3]"), Ok(("scope/x".into(), vec![2, 3])));
        assert_eq!(input("x="), Ok(("x".into(), vec![])));
        assert!(input("x").is_err() && input("=1").is_err() && input("x=a").is_err());
    }
}
