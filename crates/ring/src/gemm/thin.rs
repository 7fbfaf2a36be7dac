//! Products that read each weight once or twice, so that memory is the limit: a few rows, and depth-wise
//! convolutions. Plain loops, compiled for each kind of vector.

use rayon::prelude::*;

use super::Columns;
use crate::geometry::Conv2d;
use crate::simd::for_this_machine;

/// Columns of a thread's part of a few rows: their sums stay in the first cache while the weights stream by.
const PART: usize = 512;

/// Adds a few dense rows (`x`, of `w.inner` words each) times `w` to dense rows of `out`.
pub(crate) fn few_rows(x: &[u64], w: &Columns<'_>, out: &mut [u64]) {
    for (x, out) in x.chunks_exact(w.inner).zip(out.chunks_exact_mut(w.columns)) {
        out.par_chunks_mut(PART).enumerate().for_each(|(i, out)| {
            part_of_row(x, &w.w[i * PART..], w.stride, out);
        });
    }
}

fn part_of_row(x: &[u64], w: &[u64], stride: usize, out: &mut [u64]) {
    for_this_machine!(part_of_row_plain(x: &[u64], w: &[u64], stride: usize, out: &mut [u64]))
}

#[inline(always)]
fn part_of_row_plain(x: &[u64], w: &[u64], stride: usize, out: &mut [u64]) {
    let columns = out.len();
    let (fours, rest) = x.as_chunks::<4>();
    let line = |k: usize| &w[k * stride..][..columns];
    for (i, x) in fours.iter().enumerate() {
        let lines = [line(4 * i), line(4 * i + 1), line(4 * i + 2), line(4 * i + 3)];
        for (j, o) in out.iter_mut().enumerate() {
            let mut sum = *o;
            for (x, line) in x.iter().zip(lines) {
                sum = sum.wrapping_add(x.wrapping_mul(line[j]));
            }
            *o = sum;
        }
    }
    for (i, x) in rest.iter().enumerate() {
        for (o, w) in out.iter_mut().zip(line(4 * fours.len() + i)) {
            *o = o.wrapping_add(x.wrapping_mul(*w));
        }
    }
}

/// Adds `x[row, channel] * w[channel]` to `out`.
pub(crate) fn scale(x: &[u64], w: &[u64], out: &mut [u64]) {
    let part = w.len() * (1usize << 14).div_ceil(w.len());
    out.par_chunks_mut(part).zip(x.par_chunks(part)).for_each(|(out, x)| scale_part(x, w, out));
}

fn scale_part(x: &[u64], w: &[u64], out: &mut [u64]) {
    for_this_machine!(scale_plain(x: &[u64], w: &[u64], out: &mut [u64]))
}

#[inline(always)]
fn scale_plain(x: &[u64], w: &[u64], out: &mut [u64]) {
    for (out, x) in out.chunks_exact_mut(w.len()).zip(x.chunks_exact(w.len())) {
        for ((o, x), w) in out.iter_mut().zip(x).zip(w) {
            *o = o.wrapping_add(x.wrapping_mul(*w));
        }
    }
}

/// Adds a convolution of one channel a group to `out`. Its shapes were checked.
pub(crate) fn depth_wise(conv: &Conv2d, [out_h, out_w]: [usize; 2], x: &[u64], w: &[u64], out: &mut [u64]) {
    out.par_chunks_mut(out_w * conv.out_channels).enumerate().for_each(|(row, line)| {
        let (image, oy) = (row / out_h, row % out_h);
        let size = conv.input[0] * conv.input[1] * conv.in_channels;
        depth_wise_row(conv, oy, &x[image * size..][..size], w, line);
    });
}

fn depth_wise_row(conv: &Conv2d, oy: usize, x: &[u64], w: &[u64], line: &mut [u64]) {
    for_this_machine!(depth_wise_row_plain(conv: &Conv2d, oy: usize, x: &[u64], w: &[u64], line: &mut [u64]))
}

/// One row of the output of one image. The channels of a pixel are the vector; where a channel has several outputs
/// they are neighbours.
#[inline(always)]
fn depth_wise_row_plain(conv: &Conv2d, oy: usize, x: &[u64], w: &[u64], line: &mut [u64]) {
    let [height, width] = conv.input;
    let (channels, outputs) = (conv.in_channels, conv.out_channels);
    let each = outputs / channels;
    let window = &conv.window;
    for (ox, sums) in line.chunks_exact_mut(outputs).enumerate() {
        for ky in 0..window.kernel[0] {
            let y = (oy * window.stride[0] + ky * window.dilation[0]).wrapping_sub(window.padding[0][0]);
            if y >= height {
                continue;
            }
            for kx in 0..window.kernel[1] {
                let at = (ox * window.stride[1] + kx * window.dilation[1]).wrapping_sub(window.padding[1][0]);
                if at >= width {
                    continue;
                }
                let pixel = &x[(y * width + at) * channels..][..channels];
                let taps = &w[(ky * window.kernel[1] + kx) * outputs..][..outputs];
                if each == 1 {
                    for ((s, x), w) in sums.iter_mut().zip(pixel).zip(taps) {
                        *s = s.wrapping_add(x.wrapping_mul(*w));
                    }
                } else {
                    for (o, (s, w)) in sums.iter_mut().zip(taps).enumerate() {
                        *s = s.wrapping_add(pixel[o / each].wrapping_mul(*w));
                    }
                }
            }
        }
    }
}
