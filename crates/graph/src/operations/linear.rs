//! Linear layers: convolution, matrix product, and the diagonal ones (batch normalisation, scale).

use cryptflow_ring::{GeometryError, Window};
use rayon::prelude::*;

use super::gemm::{self, Extent, Layout};
use super::{OpError, nhwc, operands};
use crate::graph::Array;

/// Elements of one block of gathered patches: 1 MiB of floats for each thread.
const BLOCK: usize = 1 << 18;

/// A linear layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Linear {
    /// Convolution of x (NHWC) with w (HWIO), plus a bias. Operands: x, w and optionally bias (one element an output
    /// channel): two or three of them; a depth-wise convolution where `groups` is the number of input channels
    /// (TensorFlow's `[h, w, c, m]` depth-wise filter, read as `[h, w, 1, c·m]`).
    Conv2d {
        /// Kernel, stride, dilation, padding (zeros).
        window: Window,
        /// Groups.
        groups: usize,
    },
    /// `a · b` of two matrices, each read transposed on demand, plus a bias on each row. Operands: a, b and optionally
    /// bias (one element a column of the result): two or three of them. Matrices are the last two axes; the axes before
    /// them are equal in both operands, or `b` has none and serves every matrix of `a`.
    MatMul {
        /// Read `a` transposed.
        transpose_a: bool,
        /// Read `b` transposed.
        transpose_b: bool,
    },
    /// `gamma * (x − mean) / sqrt(variance + epsilon) + beta` along the last axis; operands x, gamma, beta, mean,
    /// variance.
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// `x * factor + offset` along the last axis (a diagonal linear layer: a batch normalisation that no other layer
    /// can take up); operands x, factor, offset, the last two vectors as long as the last axis.
    Scale,
}

impl Linear {
    /// The operation's name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Linear::Conv2d { .. } => "conv",
            Linear::MatMul { .. } => "matmul",
            Linear::BatchNorm { .. } => "batch norm",
            Linear::Scale => "scale",
        }
    }

    pub(super) fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
        let op = self.name();
        match self {
            Linear::Conv2d { window, groups } => {
                let (x, w, bias) = two_or_three(op, inputs)?;
                let c = Conv::of(op, window, *groups, x, w)?;
                check_bias(op, bias, c.out_channels)?;
                Ok(vec![c.batch, c.output[0], c.output[1], c.out_channels])
            }
            Linear::MatMul { transpose_a, transpose_b } => {
                let (a, b, bias) = two_or_three(op, inputs)?;
                let (leading, size) = products(op, a, *transpose_a, b, *transpose_b)?;
                check_bias(op, bias, size.columns)?;
                Ok(leading.iter().copied().chain([size.rows, size.columns]).collect())
            }
            Linear::Scale => {
                let [x, factor, offset] = operands(op, "three (x, factor, offset)", inputs)?;
                diagonal(op, x, &[factor, offset])
            }
            Linear::BatchNorm { .. } => {
                let [x, gamma, beta, mean, variance] =
                    operands(op, "five (x, gamma, beta, mean, variance)", inputs)?;
                diagonal(op, x, &[gamma, beta, mean, variance])
            }
        }
    }

    pub(super) fn evaluate(&self, inputs: &[&Array], result: Vec<usize>) -> Result<Array, OpError> {
        let op = self.name();
        match self {
            Linear::Conv2d { window, groups } => {
                let (x, w, bias) = two_or_three(op, inputs)?;
                let c = Conv::of(op, window, *groups, &x.shape, &w.shape)?;
                let mut out = vec![0.0; result.iter().product()];
                // With one input channel a group there is nothing to multiply as matrices.
                if c.in_channels == c.groups && c.groups > 1 {
                    c.depth_wise(&x.data, &w.data, &mut out);
                } else {
                    c.gathered(&x.data, &w.data, &mut out)?;
                }
                add_bias(&mut out, bias);
                Array::new(result, out)
            }
            Linear::MatMul { transpose_a, transpose_b } => {
                let (a, b, bias) = two_or_three(op, inputs)?;
                let mut out = multiply(a, *transpose_a, b, *transpose_b)?;
                add_bias(&mut out, bias);
                Array::new(result, out)
            }
            Linear::Scale => {
                let [x, factor, offset] = operands(op, "three", inputs)?;
                scale(x, &factor.data, &offset.data)
            }
            Linear::BatchNorm { epsilon } => {
                let [x, gamma, beta, mean, variance] = operands(op, "five", inputs)?;
                let (factor, offset) =
                    normalisation(&gamma.data, &beta.data, &mean.data, &variance.data, *epsilon);
                scale(x, &factor, &offset)
            }
        }
    }
}

/// The products of matrices, one after another.
fn multiply(a: &Array, ta: bool, b: &Array, tb: bool) -> Result<Vec<f32>, OpError> {
    let (leading, size) = products("matmul", &a.shape, ta, &b.shape, tb)?;
    let of = |transposed: bool, rows: usize, columns: usize, start: usize| {
        let layout = if transposed { Layout::rows(rows).transposed() } else { Layout::rows(columns) };
        Layout { start, ..layout }
    };
    let batch: usize = leading.iter().product();
    let mut out = vec![0.0; batch * size.rows * size.columns];
    for i in 0..batch {
        let la = of(ta, size.rows, size.inner, i * size.rows * size.inner);
        let start = if b.shape.len() > 2 { i * size.inner * size.columns } else { 0 };
        let lb = of(tb, size.inner, size.columns, start);
        let lc = Layout { start: i * size.rows * size.columns, ..Layout::rows(size.columns) };
        gemm::multiply(size, &a.data, la, &b.data, lb, &mut out, lc)?;
    }
    Ok(out)
}

/// A batch normalisation as `factor * x + offset`.
pub fn normalisation(
    gamma: &[f32],
    beta: &[f32],
    mean: &[f32],
    variance: &[f32],
    epsilon: f32,
) -> (Vec<f32>, Vec<f32>) {
    gamma
        .iter()
        .zip(beta)
        .zip(mean.iter().zip(variance))
        .map(|((&g, &b), (&m, &v))| {
            let factor = f64::from(g) / (f64::from(v) + f64::from(epsilon)).sqrt();
            (factor as f32, (f64::from(b) - f64::from(m) * factor) as f32)
        })
        .unzip()
}

fn scale(x: &Array, factor: &[f32], offset: &[f32]) -> Result<Array, OpError> {
    let mut out = Vec::with_capacity(x.data.len());
    for row in x.data.chunks_exact(factor.len().max(1)) {
        out.extend(row.iter().zip(factor).zip(offset).map(|((x, f), o)| x * f + o));
    }
    Array::new(x.shape.clone(), out)
}

fn two_or_three<'a, T: ?Sized>(
    op: &'static str,
    given: &[&'a T],
) -> Result<(&'a T, &'a T, Option<&'a T>), OpError> {
    match *given {
        [x, w] => Ok((x, w, None)),
        [x, w, bias] => Ok((x, w, Some(bias))),
        _ => Err(OpError::Operands { op, expected: "two or three (x, weights, bias)", given: given.len() }),
    }
}

fn check_bias(op: &'static str, bias: Option<&[usize]>, channels: usize) -> Result<(), OpError> {
    match bias {
        Some(bias) if bias != [channels] => Err(OpError::shape(
            op,
            format!("the bias must have the shape [{channels}] of the output channels, not {bias:?}"),
        )),
        _ => Ok(()),
    }
}

fn add_bias(out: &mut [f32], bias: Option<&Array>) {
    if let Some(bias) = bias {
        for row in out.chunks_exact_mut(bias.data.len().max(1)) {
            for (y, b) in row.iter_mut().zip(bias.data.iter()) {
                *y += b;
            }
        }
    }
}

/// The axes before the matrices, and the extents of each product.
fn products<'a>(
    op: &'static str,
    a: &'a [usize],
    ta: bool,
    b: &[usize],
    tb: bool,
) -> Result<(&'a [usize], Extent), OpError> {
    let (Some((before_a, a2)), Some((before_b, b2))) = (a.split_last_chunk::<2>(), b.split_last_chunk::<2>())
    else {
        return Err(OpError::shape(op, format!("both operands must be matrices, not {a:?} and {b:?}")));
    };
    if !before_b.is_empty() && before_a != before_b {
        let reason = format!("the axes before the matrices of {a:?} and {b:?} differ");
        return Err(OpError::shape(op, reason));
    }
    Ok((before_a, product(op, a2, ta, b2, tb)?))
}

fn product(op: &'static str, a: &[usize], ta: bool, b: &[usize], tb: bool) -> Result<Extent, OpError> {
    let (&[a0, a1], &[b0, b1]) = (a, b) else {
        return Err(OpError::shape(op, format!("both operands must be matrices, not {a:?} and {b:?}")));
    };
    let (rows, inner) = if ta { (a1, a0) } else { (a0, a1) };
    let (inner_b, columns) = if tb { (b1, b0) } else { (b0, b1) };
    if inner != inner_b {
        return Err(OpError::shape(
            op,
            format!("[{rows}, {inner}] · [{inner_b}, {columns}]: the inner extents differ"),
        ));
    }
    Ok(Extent { rows, inner, columns })
}

fn diagonal(op: &'static str, x: &[usize], vectors: &[&[usize]]) -> Result<Vec<usize>, OpError> {
    let Some(&channels) = x.last() else {
        return Err(OpError::shape(op, "the operand is a scalar: it has no last axis"));
    };
    match vectors.iter().find(|v| **v != [channels]) {
        Some(v) => Err(OpError::shape(
            op,
            format!("the operand {x:?} has {channels} channels, but a vector has the shape {v:?}"),
        )),
        None => Ok(x.to_vec()),
    }
}

/// A convolution with its shapes checked.
struct Conv<'a> {
    window: &'a Window,
    groups: usize,
    batch: usize,
    input: [usize; 2],
    in_channels: usize,
    output: [usize; 2],
    out_channels: usize,
}

impl<'a> Conv<'a> {
    fn of(
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
    fn terms(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1] * (self.in_channels / self.groups)
    }

    /// The input row or column under a tap of an output row or column, or none where that is padding.
    fn source(&self, axis: usize, output: usize, tap: usize) -> Option<usize> {
        let w = self.window;
        (output * w.stride[axis] + tap * w.dilation[axis])
            .checked_sub(w.padding[axis][0])
            .filter(|&i| i < self.input[axis])
    }

    /// Patches gathered into a matrix, block of rows by block of rows, times the weights.
    fn gathered(&self, x: &[f32], w: &[f32], out: &mut [f32]) -> Result<(), OpError> {
        let terms = self.terms();
        let group_in = self.in_channels / self.groups;
        let group_out = self.out_channels / self.groups;
        let row = self.output[1] * self.out_channels;
        let rows = self.batch * self.output[0];
        if row == 0 || rows == 0 {
            return Ok(());
        }
        // Enough blocks for all threads, none larger than BLOCK, at least one row of the output each.
        let per_row = (self.output[1] * terms).max(1);
        let block = (BLOCK / per_row).min(rows.div_ceil(rayon::current_num_threads())).max(1);
        let direct = self.window.kernel == [1, 1] && self.window.stride == [1, 1] && !self.window.is_padded();
        out.par_chunks_mut(block * row).enumerate().try_for_each_init(Vec::new, |patches, (b, out)| {
            let first = b * block;
            let pixels = out.len() / self.out_channels;
            for g in 0..self.groups {
                let (matrix, la): (&[f32], Layout) = if direct {
                    let start = first * self.output[1] * self.in_channels + g * group_in;
                    (x, Layout { start, row: self.in_channels, column: 1 })
                } else {
                    patches.clear();
                    patches.resize(pixels * terms, 0.0);
                    for (r, patch) in patches.chunks_exact_mut(self.output[1] * terms).enumerate() {
                        self.gather_row(x, first + r, g, patch);
                    }
                    (patches, Layout::rows(terms))
                };
                let lw = Layout { start: g * group_out, row: self.out_channels, column: 1 };
                let lo = Layout { start: g * group_out, row: self.out_channels, column: 1 };
                let size = Extent { rows: pixels, inner: terms, columns: group_out };
                gemm::multiply(size, matrix, la, w, lw, out, lo)?;
            }
            Ok(())
        })
    }

    /// The patches of one row of the output (counted over the batch), one after another; zeros are there already.
    fn gather_row(&self, x: &[f32], row: usize, group: usize, patches: &mut [f32]) {
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

    /// Every group has one input channel: each output channel is its own small filter.
    fn depth_wise(&self, x: &[f32], w: &[f32], out: &mut [f32]) {
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
