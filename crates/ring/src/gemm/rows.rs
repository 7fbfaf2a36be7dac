//! The left operand of a product: the rows of a matrix, or the windows of an image.

use std::ops::Range;

use crate::geometry::Conv2d;

/// Rows of words.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows<'a> {
    /// Row `r` begins at word `r * stride`.
    Matrix {
        /// The words.
        x: &'a [u64],
        /// Distance of the rows.
        stride: usize,
    },
    /// Row `r` is what output position `r` (batch, height, width) of a convolution sees of one
    /// group's channels, in the order of the weights: kernel height, kernel width, channel. Padding
    /// is zeros.
    Windows {
        /// The image, NHWC.
        x: &'a [u64],
        /// The convolution, whose shapes were checked.
        conv: &'a Conv2d,
        /// Height and width of its output.
        output: [usize; 2],
        /// The group.
        group: usize,
    },
}

impl<'a> Rows<'a> {
    /// The block as it lies in memory, and the distance of its rows, where it need not be copied.
    pub(crate) fn dense(&self, rows: Range<usize>, inner: Range<usize>) -> Option<(&'a [u64], usize)> {
        match *self {
            Rows::Matrix { x, stride } => Some((&x[rows.start * stride + inner.start..], stride)),
            Rows::Windows { .. } => None,
        }
    }

    /// The block as it lies in memory, or else as a copy in `scratch`, and the distance of its
    /// rows.
    pub(crate) fn block<'s>(
        &self,
        rows: Range<usize>,
        inner: Range<usize>,
        scratch: &'s mut [u64],
    ) -> (&'s [u64], usize)
    where
        'a: 's,
    {
        if let Some(dense) = self.dense(rows.clone(), inner.clone()) {
            return dense;
        }
        let stride = inner.len();
        self.copy(rows, inner, scratch);
        (scratch, stride)
    }

    /// Copies a block, row after row, to the beginning of `out`.
    pub(crate) fn copy(&self, rows: Range<usize>, inner: Range<usize>, out: &mut [u64]) {
        let lines = out.chunks_exact_mut(inner.len()).zip(rows);
        match self {
            Rows::Matrix { x, stride } => {
                for (line, row) in lines {
                    line.copy_from_slice(&x[row * stride..][inner.clone()]);
                }
            }
            Rows::Windows { x, conv, output, group } => {
                for (line, row) in lines {
                    window(x, conv, *output, *group, row, inner.clone(), line);
                }
            }
        }
    }
}

/// Part of the window of one output position.
fn window(
    x: &[u64],
    conv: &Conv2d,
    [out_h, out_w]: [usize; 2],
    group: usize,
    row: usize,
    inner: Range<usize>,
    line: &mut [u64],
) {
    let [height, width] = conv.input;
    let channels = conv.in_channels;
    let group_in = channels / conv.groups;
    let (ox, oy, image) = (row % out_w, row / out_w % out_h, row / out_w / out_h);
    let w = &conv.window;
    // Taps that are neighbours in the image are copied as one run.
    let pixels = if w.dilation[1] == 1 && conv.groups == 1 { w.kernel[1] } else { 1 };
    let run = pixels * group_in;
    let runs_per_line = w.kernel[1] / pixels;
    let index = inner.start / run;
    let mut next = ([index / runs_per_line, index % runs_per_line], inner.start % run);
    let mut line = line;
    while !line.is_empty() {
        let ([ky, kx], begin) = next;
        // Whatever follows begins at its beginning.
        next = (if kx + 1 < runs_per_line { [ky, kx + 1] } else { [ky + 1, 0] }, 0);
        let end = run.min(begin + line.len());
        let (part, rest) = std::mem::take(&mut line).split_at_mut(end - begin);
        line = rest;
        let y = (oy * w.stride[0] + ky * w.dilation[0]).wrapping_sub(w.padding[0][0]);
        if y >= height {
            part.fill(0);
            continue;
        }
        // Pixels `left .. right` of the run are in the image; its first pixel is column `column -
        // padding`.
        let column = ox * w.stride[1] + kx * w.dilation[1];
        let left = w.padding[1][0].saturating_sub(column).min(pixels);
        let right = (width + w.padding[1][0]).saturating_sub(column).min(pixels).max(left);
        let real = (left * group_in).clamp(begin, end)..(right * group_in).clamp(begin, end);
        if real != (begin..end) {
            part.fill(0);
        }
        if !real.is_empty() {
            let first = (image * height + y) * width + column + left - w.padding[1][0];
            let from = first * channels + group * group_in + (real.start - left * group_in);
            part[real.start - begin..real.end - begin].copy_from_slice(&x[from..from + real.len()]);
        }
    }
}
