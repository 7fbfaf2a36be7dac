//! Pooling: sums over windows, and what a maximum over windows needs to know of its taps. Tensors
//! are NHWC.

use rayon::prelude::*;

use crate::geometry::{GeometryError, Window};
use crate::movement::elements;

/// What can be summed over a window.
pub trait Summand: Copy + Default + Send + Sync {
    /// The sum; modulo 2^64 for `u64`.
    fn plus(self, other: Self) -> Self;
}

impl Summand for u64 {
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}

impl Summand for f32 {
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

/// Sums of `x`, of shape `input` (NHWC), over the window's positions: `[batch, out_height,
/// out_width, channels]`. Padding adds nothing. The order of a sum's terms is that of the window,
/// whatever the number of threads.
///
/// # Errors
/// Where the window does not fit, or `x` has not as many elements as `input` says.
pub fn sum_pool<T: Summand>(x: &[T], input: [usize; 4], window: &Window) -> Result<Vec<T>, GeometryError> {
    let [batch, height, width, channels] = input;
    if elements(&input)? != x.len() {
        return Err(GeometryError::Elements { shape: input.to_vec(), len: x.len() });
    }
    let [out_h, out_w] = window.output([height, width])?;
    let mut out = vec![T::default(); elements(&[batch, out_h, out_w, channels])?];
    if out.is_empty() {
        return Ok(out);
    }
    out.par_chunks_mut(out_w * channels).enumerate().for_each(|(row, line)| {
        let (image, oy) = (row / out_h, row % out_h);
        for ky in 0..window.kernel[0] {
            let Some(y) = tap(0, oy, ky, height, window) else { continue };
            let rows = &x[(image * height + y) * width * channels..][..width * channels];
            for (ox, sum) in line.chunks_exact_mut(channels).enumerate() {
                for kx in 0..window.kernel[1] {
                    let Some(column) = tap(1, ox, kx, width, window) else { continue };
                    let values = &rows[column * channels..][..channels];
                    for (s, v) in sum.iter_mut().zip(values) {
                        *s = s.plus(*v);
                    }
                }
            }
        }
    });
    Ok(out)
}

/// The position that tap `k` of output `o` sees along an axis, or none where that is padding.
fn tap(axis: usize, o: usize, k: usize, input: usize, window: &Window) -> Option<usize> {
    let at = o * window.stride[axis] + k * window.dilation[axis];
    at.checked_sub(window.padding[axis][0]).filter(|&at| at < input)
}

/// For each output position along one axis, the `kernel` input positions that its window sees. A
/// position inside the padding is replaced by the first real position of the same window, which
/// leaves a maximum as it is.
///
/// # Errors
/// Where the window does not fit the padded axis, or a window sees nothing but padding: its maximum
/// is not defined.
pub fn taps(
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: [usize; 2],
) -> Result<Vec<Vec<usize>>, GeometryError> {
    let window = Window {
        kernel: [kernel, 1],
        stride: [stride, 1],
        dilation: [dilation, 1],
        padding: [padding, [0, 0]],
    };
    let [outputs, _] = window.output([input, 1])?;
    let mut all = Vec::new();
    for o in 0..outputs {
        let seen = |k| tap(0, o, k, input, &window);
        let Some(first) = (0..kernel).find_map(seen) else {
            return Err(GeometryError::OnlyPadding { window: o, input, padding, kernel, stride, dilation });
        };
        all.push((0..kernel).map(|k| seen(k).unwrap_or(first)).collect());
    }
    Ok(all)
}

/// How many real elements of an input of this height and width each output position sees,
/// row-major: the divisors of an average that does not count padding. Empty where the window does
/// not fit (see [`Window::output`]).
pub fn window_counts(input: [usize; 2], window: &Window) -> Vec<u64> {
    let Ok([out_h, out_w]) = window.output(input) else { return Vec::new() };
    let along = |axis: usize, outputs: usize| -> Vec<u64> {
        let count =
            |o| (0..window.kernel[axis]).filter(|&k| tap(axis, o, k, input[axis], window).is_some()).count();
        (0..outputs).map(|o| count(o) as u64).collect()
    };
    let columns = along(1, out_w);
    along(0, out_h).iter().flat_map(|rows| columns.iter().map(move |columns| rows * columns)).collect()
}
