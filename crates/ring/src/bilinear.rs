//! Linear maps over Z_2^64.

use crate::geometry::{GeometryError, LinearMap};

mod reference;

/// `map(x, w)` over Z_2^64, or, where `bits < 64`, any result that is congruent to it modulo 2^`bits`: the caller
/// masks. `x` is NHWC or row-major, `w` is HWIO or `[inner, columns]`.
///
/// # Errors
/// Where the map's shapes do not go together or with the lengths of `x` and `w`, or `bits` is not in 1..=64.
pub fn bilinear(map: &LinearMap, x: &[u64], w: &[u64], bits: u32) -> Result<Vec<u64>, GeometryError> {
    map.check()?;
    let mut out = vec![0; map.output_len()];
    bilinear_into(map, x, w, bits, &mut out)?;
    Ok(out)
}

/// As [`bilinear`], but adds to `out`: for a sum of several maps.
///
/// # Errors
/// As [`bilinear`], and where `out` has not the length of the map's result.
pub fn bilinear_into(
    map: &LinearMap,
    x: &[u64],
    w: &[u64],
    bits: u32,
    out: &mut [u64],
) -> Result<(), GeometryError> {
    map.check()?;
    if !(1..=64).contains(&bits) {
        return Err(GeometryError::Mismatch(format!("a ring of {bits} bits: a word holds 1 to 64")));
    }
    let lengths = [
        ("input", x.len(), map.input_len()),
        ("weights", w.len(), map.weight_len()),
        ("result", out.len(), map.output_len()),
    ];
    for (what, is, must) in lengths {
        if is != must {
            let message = format!("the {what} of a linear map must have {must} elements, but there are {is}");
            return Err(GeometryError::Mismatch(message));
        }
    }
    reference::bilinear_into(map, x, w, out);
    Ok(())
}
