//! Convolution of floats.

use cryptflow_ring::{GeometryError, Window};
use rayon::prelude::*;

use super::super::{OpError, nhwc};
use super::gemm::{self, Extent, Strided};

/// Elements of one block of gathered patches: 1 MiB of floats for each thread.
pub(crate) const BLOCK: usize = 1 << 18;

/// A convolution with its shapes checked.
pub(crate) struct Conv<'a> {
    pub(crate) window: &'a Window,
    pub(crate) groups: usize,
    pub(crate) batch: usize,
    pub(crate) input: [usize; 2],
    pub(crate) in_channels: usize,
    pub(crate) output: [usize; 2],
    pub(crate) out_channels: usize,
}

impl<'a> Conv<'a> {
    pub(crate) fn of(
        op: &'static str,
        window: &'a Window,
        groups: usize,
        x: &[usize],
        w: &[usize],
    ) -> Result<Conv<'a>, OpError> {
        let [batch, height, width, in_channels] = nhwc(op, x)?;
        let &[kh, kw, group_channels, out_channels] = w else {
            let reason = format!(
                "the weights must have the axes [height, width, channels in, channels out], not {w:?}"
            );
            return Err(OpError::shape(op, reason));
        };
        if [kh, kw] != window.kernel {
            let reason = format!("the window is {:?}, but the weights are {w:?}", window.kernel);
            return Err(OpError::shape(op, reason));
        }
        let geometry = |source: GeometryError| OpError::Geometry { op, source };
        if groups == 0 {
            return Err(geometry(GeometryError::Zero("the number of groups")));
        }
        if group_channels.checked_mul(groups) != Some(in_channels) || !out_channels.is_multiple_of(groups) {
            let reason = format!(
                "weights {w:?} in {groups} groups do not go with {in_channels} channels of the operand {x:?}"
            );
            return Err(OpError::shape(op, reason));
        }
        let output = window.output([height, width]).map_err(geometry)?;
        Ok(Conv { window, groups, batch, input: [height, width], in_channels, output, out_channels })
    }

    /// Weights of one output element.
    pub(crate) fn terms(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1] * (self.in_channels / self.groups)
    }

    /// Whether every group has one input channel: there is nothing to multiply as matrices.
    pub(crate) fn is_depth_wise(&self) -> bool {
        self.in_channels == self.groups && self.groups > 1
    }

    /// Whether the patches are the input itself.
    pub(crate) fn is_direct(&self) -> bool {
        self.window.kernel == [1, 1] && self.window.stride == [1, 1] && !self.window.is_padded()
    }

    /// The input row or column under a tap of an output row or column, or none where that is
    /// padding.
    pub(crate) fn source(&self, axis: usize, output: usize, tap: usize) -> Option<usize> {
        let w = self.window;
        (output * w.stride[axis] + tap * w.dilation[axis])
            .checked_sub(w.padding[axis][0])
            .filter(|&i| i < self.input[axis])
    }

    /// Patches gathered into a matrix, block of rows by block of rows, times the weights.
    pub(crate) fn gathered(&self, x: &[f32], w: &[f32], out: &mut [f32]) -> Result<(), OpError> {
        let terms = self.terms();
        let group_in = self.in_channels / self.groups;
        let group_out = self.out_channels / self.groups;
        let row = self.output[1] * self.out_channels;
        let rows = self.batch * self.output[0];
        if row == 0 || rows == 0 {
            return Ok(());
        }
        // Enough blocks for all threads, none larger than BLOCK, at least one row of the output
        // each.
        let per_row = (self.output[1] * terms).max(1);
        let block = (BLOCK / per_row).min(rows.div_ceil(rayon::current_num_threads())).max(1);
        let direct = self.is_direct();
        out.par_chunks_mut(block * row).enumerate().try_for_each_init(Vec::new, |patches, (b, out)| {
            let first = b * block;
            let pixels = out.len() / self.out_channels;
            for g in 0..self.groups {
                let (matrix, la): (&[f32], Strided) = if direct {
                    let start = first * self.output[1] * self.in_channels + g * group_in;
                    (x, Strided { start, row: self.in_channels, column: 1 })
                } else {
                    patches.clear();
                    patches.resize(pixels * terms, 0.0);
                    for (r, patch) in patches.chunks_exact_mut(self.output[1] * terms).enumerate() {
                        self.gather_row(x, first + r, g, patch);
                    }
                    (patches, Strided::rows(terms))
                };
                let lw = Strided { start: g * group_out, row: self.out_channels, column: 1 };
                let lo = Strided { start: g * group_out, row: self.out_channels, column: 1 };
                let size = Extent { rows: pixels, inner: terms, columns: group_out };
                gemm::multiply(size, matrix, la, w, lw, out, lo)?;
            }
            Ok(())
        })
    }

    /// The patches of one row of the output (counted over the batch), one after another; zeros are
    /// there already.
    pub(crate) fn gather_row(&self, x: &[f32], row: usize, group: usize, patches: &mut [f32]) {
        let [kh, kw] = self.window.kernel;
        let [height, width] = self.input;
        let n = self.in_channels / self.groups;
        let (image, oy) = (row / self.output[0], row % self.output[0]);
        for (ox, patch) in patches.chunks_exact_mut((kh * kw * n).max(1)).enumerate() {
            for ky in 0..kh {
                let Some(iy) = self.source(0, oy, ky) else { continue };
                for kx in 0..kw {
                    let Some(ix) = self.source(1, ox, kx) else { continue };
                    let from = ((image * height + iy) * width + ix) * self.in_channels + group * n;
                    let to = (ky * kw + kx) * n;
                    patch[to..to + n].copy_from_slice(&x[from..from + n]);
                }
            }
        }
    }

    /// Where [`Conv::is_depth_wise`]: each output channel is its own small filter.
    pub(crate) fn depth_wise(&self, x: &[f32], w: &[f32], out: &mut [f32]) {
        let [kh, kw] = self.window.kernel;
        let [height, width] = self.input;
        let (channels, out_channels) = (self.in_channels, self.out_channels);
        let multiplier = out_channels / channels;
        let row = self.output[1] * out_channels;
        if row == 0 {
            return;
        }
        out.par_chunks_mut(row).enumerate().for_each(|(r, out)| {
            let (image, oy) = (r / self.output[0], r % self.output[0]);
            for (ox, out) in out.chunks_exact_mut(out_channels).enumerate() {
                for ky in 0..kh {
                    let Some(iy) = self.source(0, oy, ky) else { continue };
                    for kx in 0..kw {
                        let Some(ix) = self.source(1, ox, kx) else { continue };
                        let from = ((image * height + iy) * width + ix) * channels;
                        let x = &x[from..from + channels];
                        let tap = (ky * kw + kx) * out_channels;
                        let w = &w[tap..tap + out_channels];
                        if multiplier == 1 {
                            for ((y, w), x) in out.iter_mut().zip(w).zip(x) {
                                *y += w * x;
                            }
                        } else {
                            for (o, (y, w)) in out.iter_mut().zip(w).enumerate() {
                                *y += w * x[o / multiplier];
                            }
                        }
                    }
                }
            }
        });
    }
}
