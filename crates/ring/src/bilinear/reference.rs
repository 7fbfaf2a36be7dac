//! The plain loops: what every kernel is compared with.

use rayon::prelude::*;

use crate::geometry::{Conv2d, LinearMap};

/// Adds `map(x, w)` to `out`. The lengths were checked.
pub(crate) fn bilinear_into(map: &LinearMap, x: &[u64], w: &[u64], out: &mut [u64]) {
    if out.is_empty() {
        return;
    }
    match map {
        LinearMap::MatMul { inner, columns, .. } => {
            out.par_chunks_mut(*columns).enumerate().for_each(|(row, line)| {
                for k in 0..*inner {
                    add_scaled(line, x[row * inner + k], &w[k * columns..][..*columns]);
                }
            });
        }
        LinearMap::Conv2d(conv) => convolution(conv, x, w, out),
        LinearMap::Scale { channels, .. } => {
            for (line, x) in out.chunks_exact_mut(*channels).zip(x.chunks_exact(*channels)) {
                for ((o, x), w) in line.iter_mut().zip(x).zip(w) {
                    *o = o.wrapping_add(x.wrapping_mul(*w));
                }
            }
        }
    }
}

fn add_scaled(out: &mut [u64], factor: u64, w: &[u64]) {
    for (o, w) in out.iter_mut().zip(w) {
        *o = o.wrapping_add(factor.wrapping_mul(*w));
    }
}

fn convolution(c: &Conv2d, x: &[u64], w: &[u64], out: &mut [u64]) {
    let Ok([out_h, out_w]) = c.window.output(c.input) else { return };
    let [height, width] = c.input;
    let [kernel_h, kernel_w] = c.window.kernel;
    let (group_in, group_out) = (c.in_channels / c.groups, c.out_channels / c.groups);
    let tap = |axis: usize, o: usize, k: usize| {
        let at = o * c.window.stride[axis] + k * c.window.dilation[axis];
        at.checked_sub(c.window.padding[axis][0]).filter(|&at| at < c.input[axis])
    };
    out.par_chunks_mut(out_w * c.out_channels).enumerate().for_each(|(row, line)| {
        let (image, oy) = (row / out_h, row % out_h);
        for (ox, sums) in line.chunks_exact_mut(c.out_channels).enumerate() {
            for ky in 0..kernel_h {
                let Some(y) = tap(0, oy, ky) else { continue };
                for kx in 0..kernel_w {
                    let Some(at) = tap(1, ox, kx) else { continue };
                    let pixel = &x[((image * height + y) * width + at) * c.in_channels..][..c.in_channels];
                    let taps = &w[(ky * kernel_w + kx) * group_in * c.out_channels..];
                    for (i, &value) in pixel.iter().enumerate() {
                        let (group, i) = (i / group_in, i % group_in);
                        let columns = group * group_out..(group + 1) * group_out;
                        add_scaled(
                            &mut sums[columns.clone()],
                            value,
                            &taps[i * c.out_channels..][..c.out_channels][columns],
                        );
                    }
                }
            }
        }
    });
}
