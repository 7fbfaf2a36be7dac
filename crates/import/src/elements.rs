//! Elements of tensors as files hold them.

/// Elements as they are in memory, little-endian: exactly `n` of them.
pub(super) fn raw<T, const W: usize>(
    bytes: &[u8],
    n: usize,
    read: impl Fn([u8; W]) -> T,
) -> Result<Vec<T>, String> {
    let (elements, rest) = bytes.as_chunks::<W>();
    if elements.len() != n || !rest.is_empty() {
        return Err(format!(
            "the constant's shape needs {n} elements of {W} bytes, but the file holds {} bytes",
            bytes.len()
        ));
    }
    Ok(elements.iter().map(|&b| read(b)).collect())
}

/// The upper half of a float of single precision.
pub(super) fn bfloat(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// IEEE half precision.
pub(super) fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 31;
    let fraction = u32::from(bits) & 0x3ff;
    match (exponent, fraction) {
        (0, _) => {
            let value = fraction as f32 / (1 << 24) as f32;
            if sign == 0 { value } else { -value }
        }
        (31, _) => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision() {
        for (bits, value) in [
            (0x0001, 2f32.powi(-24)),
            (0x8400, -(2f32.powi(-14))),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:04x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
