//! Linear maps over Z_2^64.

use crate::gemm::rows::Rows;
use crate::gemm::{Columns, Target, multiply, thin};
use crate::geometry::{Conv2d, GeometryError, LinearMap};
use crate::words::Elements;

/// `map(x, w)` over Z_2^64, or, where `bits < 64`, any result that is congruent to it modulo
/// 2^`bits`: the caller masks. `x` is NHWC or row-major, `w` is HWIO or `[inner, columns]`.
///
/// # Errors
/// Where the map's shapes do not go together or with the lengths of `x` and `w`, or `bits` is not
/// in 1..=64.
pub fn bilinear(map: &LinearMap, x: &[u64], w: &[u64], bits: u32) -> Result<Vec<u64>, GeometryError> {
    map.check()?;
    let mut out = vec![0; map.output_len()];
    bilinear_into(map, x, w, bits, &mut out)?;
    Ok(out)
}

/// As [`bilinear`], but adds to `out`: for a sum of several maps. The weights may be in any of their forms, for a ring
/// that it holds.
///
/// # Errors
/// As [`bilinear`], where `out` has not the length of the map's result, and where `bits` is more than elements of
/// `w` have.
pub fn bilinear_into<'a>(
    map: &LinearMap,
    x: &[u64],
    w: impl Into<Elements<'a>>,
    bits: u32,
    out: &mut [u64],
) -> Result<(), GeometryError> {
    map.check()?;
    let w = w.into();
    if !(1..=w.bits()).contains(&bits) {
        return Err(GeometryError::RingBits(bits));
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
    if x.is_empty() || w.is_empty() || out.is_empty() {
        return Ok(());
    }
    match map {
        LinearMap::MatMul { rows, inner, columns } => product(x, w, [*rows, *inner, *columns], bits, out),
        LinearMap::BatchMatMul { rows: 1, inner, columns: 1, .. } => thin::dots(x, &w.widened(), *inner, out),
        LinearMap::BatchMatMul { rows, inner, columns, .. } => {
            // None of the extents is zero: no operand is empty.
            let parts = x.chunks_exact(rows * inner).zip(out.chunks_exact_mut(rows * columns));
            for (i, (x, out)) in parts.enumerate() {
                product(x, w.from(i * inner * columns), [*rows, *inner, *columns], bits, out);
            }
        }
        LinearMap::Scale { .. } => thin::scale(x, &w.widened(), out),
        LinearMap::Conv2d(conv) => convolution(conv, x, w, bits, out)?,
    }
    Ok(())
}

/// The kernels of this machine one by one, for benchmarks and tests.
#[doc(hidden)]
pub mod kernels {
    use crate::gemm::rows::Rows;
    use crate::gemm::{Columns, Target, multiply_by, names};

    /// The kernels that can multiply modulo 2^`bits` here: `amx`, `avx512ifma`, `portable` and the
    /// like.
    pub fn available(bits: u32) -> Vec<&'static str> {
        names(bits)
    }

    /// Adds `x · w`, a product of `[rows, inner, columns]`, to `out`, by the kernel of this name.
    /// The rows of `x` lie `strides[0]` words apart, those of `w` and `out` `strides[1]`.
    ///
    /// # Panics
    /// Where the kernel is not among the [`available`] ones, or a slice is too short.
    pub fn product(
        name: &str,
        [x, w]: [&[u64]; 2],
        [rows, inner, columns]: [usize; 3],
        strides: [usize; 2],
        bits: u32,
        out: &mut [u64],
    ) {
        let right = Columns { w: w.into(), stride: strides[1], inner, columns };
        let left = Rows::Matrix { x, stride: strides[0] };
        let known = multiply_by(name, &left, rows, &right, bits, &Target::new(out, strides[1], columns));
        assert!(known, "no kernel {name} for {bits} bits on this machine");
    }
}

/// Up to this many rows, reading the weights costs more than multiplying by them.
const FEW_ROWS: usize = 8;

fn product(x: &[u64], w: Elements<'_>, [rows, inner, columns]: [usize; 3], bits: u32, out: &mut [u64]) {
    let right = Columns { w, stride: columns, inner, columns };
    let target = Target::new(out, columns, columns);
    if rows <= FEW_ROWS {
        return thin::few_rows(x, &right, &target);
    }
    multiply(&Rows::Matrix { x, stride: inner }, rows, &right, bits, &target);
}

fn convolution(
    c: &Conv2d,
    x: &[u64],
    w: Elements<'_>,
    bits: u32,
    out: &mut [u64],
) -> Result<(), GeometryError> {
    let output = c.window.output(c.input)?;
    let rows = c.batch * output[0] * output[1];
    let window = &c.window;
    if c.groups == 1 && window.kernel == [1, 1] && window.stride == [1, 1] && !window.is_padded() {
        product(x, w, [rows, c.in_channels, c.out_channels], bits, out);
        return Ok(());
    }
    if c.groups == c.in_channels && c.groups > 1 {
        thin::depth_wise(c, output, x, &w.widened(), out);
        return Ok(());
    }
    let columns = c.out_channels / c.groups;
    let inner = window.kernel[0] * window.kernel[1] * (c.in_channels / c.groups);
    for group in 0..c.groups {
        let first = group * columns;
        let left = Rows::Windows { x, conv: c, output, group };
        let right = Columns { w: w.from(first), stride: c.out_channels, inner, columns };
        let target = Target::new(&mut out[first..], c.out_channels, columns);
        multiply(&left, rows, &right, bits, &target);
    }
    Ok(())
}
