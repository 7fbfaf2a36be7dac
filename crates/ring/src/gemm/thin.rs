//! Products that read each weight once or twice, so that memory is the limit: a few rows, and
//! depth-wise convolutions. Plain loops, compiled for each kind of vector.

use rayon::prelude::*;

use super::{Columns, Target};
use crate::geometry::Conv2d;
use crate::simd::for_this_machine;
use crate::words::Elements;

/// Bytes of a row of a thread's part of a few rows, at most: the sums of its columns stay in the first cache while
/// the weights stream by. The wider a part, the longer the stretches of memory that are read one after another: rows of 500
/// narrow weights that lie in the third cache are read three times as fast whole as in two parts.
const PART_BYTES: usize = 2048;
const WIDE_PART: usize = PART_BYTES / size_of::<u64>();
const NARROW_PART: usize = PART_BYTES / size_of::<u32>();
/// Fewer columns than this are not shared between threads.
const LEAST_PART: usize = 64;
/// Most rows that go through the weights together.
const ROWS: usize = 4;

/// A word that sums and products wrap around in.
trait Word: Copy + Default + Send + Sync {
    fn times(self, other: Self) -> Self;
    fn plus(self, other: Self) -> Self;
    fn of(word: u64) -> Self;
    fn wide(self) -> u64;
}

macro_rules! word {
    ($word:ident) => {
        impl Word for $word {
            #[inline(always)]
            fn times(self, other: $word) -> $word {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn plus(self, other: $word) -> $word {
                self.wrapping_add(other)
            }
            fn of(word: u64) -> $word {
                word as $word
            }
            fn wide(self) -> u64 {
                self.into()
            }
        }
    };
}

word!(u32);
word!(u64);

/// Adds a few dense rows (`x`, of `w.inner` words each) times `w` to `out`, modulo 2^64 or what narrow words
/// hold.
pub(crate) fn few_rows(x: &[u64], w: &Columns<'_>, out: &Target<'_>) {
    let shape = Shape { stride: w.stride, inner: w.inner, columns: w.columns };
    match w.w {
        Elements::Wide(w) => few_rows_of::<u64, WIDE_PART>(x, w, shape, out, part_of_rows),
        Elements::Narrow(w) => {
            let x: Vec<u32> = x.iter().map(|&x| Word::of(x)).collect();
            few_rows_of::<u32, NARROW_PART>(&x, w, shape, out, part_of_narrow_rows);
        }
        Elements::Packed(_) | Elements::Drawn(_) => few_rows_unpacked(x, w, out),
    }
}

/// Rows of weights that are unpacked at a time: they stay in the second cache.
const UNPACKED: usize = 32;

/// [`few_rows`] times weights that are packed, or made here.
fn few_rows_unpacked(x: &[u64], w: &Columns<'_>, out: &Target<'_>) {
    let (inner, rows) = (w.inner, x.len() / w.inner);
    let each = w.columns.div_ceil(rayon::current_num_threads()).next_multiple_of(LEAST_PART).min(WIDE_PART);
    (0..w.columns.div_ceil(each)).into_par_iter().for_each(|part| {
        let first = part * each;
        let columns = each.min(w.columns - first);
        let mut unpacked = [0; UNPACKED * WIDE_PART];
        let mut sums = vec![[[0; WIDE_PART]; ROWS]; rows.div_ceil(ROWS)];
        for k in (0..inner).step_by(UNPACKED) {
            let depth = UNPACKED.min(inner - k);
            for (i, line) in unpacked.chunks_exact_mut(columns).take(depth).enumerate() {
                w.copy(k + i, first, line);
            }
            let shape = Shape { stride: columns, inner: depth, columns };
            for (x, sums) in x.chunks(ROWS * inner).zip(&mut sums) {
                let mut now = [0; ROWS * UNPACKED];
                let rows = x.chunks_exact(inner).zip(now.chunks_exact_mut(depth));
                rows.for_each(|(x, now)| now.copy_from_slice(&x[k..k + depth]));
                part_of_rows(&now[..x.len() / inner * depth], &unpacked, shape, [0, columns], sums);
            }
        }
        for (r, sums) in sums.iter().flatten().take(rows).enumerate() {
            #[allow(unsafe_code)]
            // SAFETY: these columns are this thread's alone.
            let line = unsafe { out.row(r, first, columns) };
            for (o, s) in line.iter_mut().zip(sums) {
                *o = o.wrapping_add(*s);
            }
        }
    });
}

/// Of the weights, see [`Columns`].
#[derive(Clone, Copy)]
struct Shape {
    stride: usize,
    inner: usize,
    columns: usize,
}

type Sums<W, const PART: usize> = [[W; PART]; ROWS];

/// Sums of so many columns from the first of these on, of the rows.
type Part<W, const PART: usize> =
    fn(x: &[W], w: &[W], shape: Shape, columns: [usize; 2], sums: &mut Sums<W, PART>);

fn few_rows_of<W: Word, const PART: usize>(
    x: &[W],
    w: &[W],
    shape: Shape,
    out: &Target<'_>,
    part_of_rows: Part<W, PART>,
) {
    let inner = shape.inner;
    let each = shape.columns.div_ceil(rayon::current_num_threads()).next_multiple_of(LEAST_PART).min(PART);
    (0..shape.columns.div_ceil(each)).into_par_iter().for_each(|part| {
        let first = part * each;
        let columns = each.min(shape.columns - first);
        for (i, x) in x.chunks(ROWS * inner).enumerate() {
            let mut sums = [[W::default(); PART]; ROWS];
            part_of_rows(x, w, shape, [first, columns], &mut sums);
            for (r, sums) in sums.iter().take(x.len() / inner).enumerate() {
                #[allow(unsafe_code)]
                // SAFETY: these columns are this thread's alone.
                let line = unsafe { out.row(i * ROWS + r, first, columns) };
                for (o, s) in line.iter_mut().zip(sums) {
                    *o = o.wrapping_add(s.wide());
                }
            }
        }
    });
}

fn part_of_rows(x: &[u64], w: &[u64], shape: Shape, columns: [usize; 2], sums: &mut Sums<u64, WIDE_PART>) {
    for_this_machine!(part_of_rows_plain(
        x: &[u64], w: &[u64], shape: Shape, columns: [usize; 2], sums: &mut Sums<u64, WIDE_PART>,
    ))
}

fn part_of_narrow_rows(
    x: &[u32],
    w: &[u32],
    shape: Shape,
    columns: [usize; 2],
    sums: &mut Sums<u32, NARROW_PART>,
) {
    for_this_machine!(part_of_rows_plain(
        x: &[u32], w: &[u32], shape: Shape, columns: [usize; 2], sums: &mut Sums<u32, NARROW_PART>,
    ))
}

#[inline(always)]
fn part_of_rows_plain<W: Word, const PART: usize>(
    x: &[W],
    w: &[W],
    shape: Shape,
    columns: [usize; 2],
    sums: &mut Sums<W, PART>,
) {
    match x.len() / shape.inner {
        1 => rows_plain::<W, 1, PART>(x, w, shape, columns, sums),
        2 => rows_plain::<W, 2, PART>(x, w, shape, columns, sums),
        3 => rows_plain::<W, 3, PART>(x, w, shape, columns, sums),
        _ => rows_plain::<W, 4, PART>(x, w, shape, columns, sums),
    }
}

/// `R` rows. Four weights of a column at a time, so that a sum is read and written once for four
/// products.
#[inline(always)]
fn rows_plain<W: Word, const R: usize, const PART: usize>(
    x: &[W],
    w: &[W],
    Shape { stride, inner, .. }: Shape,
    [first, columns]: [usize; 2],
    sums: &mut Sums<W, PART>,
) {
    let none = [W::default(); PART];
    for k in (0..inner).step_by(4) {
        let line = |i: usize| {
            if k + i < inner { &w[(k + i) * stride + first..][..columns] } else { &none[..columns] }
        };
        let factor = |r: usize, i: usize| if k + i < inner { x[r * inner + k + i] } else { W::default() };
        let lines = [line(0), line(1), line(2), line(3)];
        let mut factors = [[W::default(); 4]; R];
        for (r, factors) in factors.iter_mut().enumerate() {
            *factors = [factor(r, 0), factor(r, 1), factor(r, 2), factor(r, 3)];
        }
        for (sums, f) in sums.iter_mut().zip(&factors) {
            for (j, sum) in sums[..columns].iter_mut().enumerate() {
                let low = f[0].times(lines[0][j]).plus(f[1].times(lines[1][j]));
                let high = f[2].times(lines[2][j]).plus(f[3].times(lines[3][j]));
                *sum = sum.plus(low).plus(high);
            }
        }
    }
}

/// Adds the product of each row of `inner` words of `x` with the same row of `w` to one element of
/// `out`.
pub(crate) fn dots(x: &[u64], w: &[u64], inner: usize, out: &mut [u64]) {
    const ROWS: usize = 1 << 12;
    let parts = x.par_chunks(ROWS * inner).zip(w.par_chunks(ROWS * inner));
    out.par_chunks_mut(ROWS).zip(parts).for_each(|(out, (x, w))| {
        for ((out, x), w) in out.iter_mut().zip(x.chunks_exact(inner)).zip(w.chunks_exact(inner)) {
            let products = x.iter().zip(w).map(|(x, w)| x.wrapping_mul(*w));
            *out = products.fold(*out, u64::wrapping_add);
        }
    });
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

/// One row of the output of one image. The channels of a pixel are the vector; where a channel has
/// several outputs they are neighbours.
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
