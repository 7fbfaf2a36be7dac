//! Linear layers: convolution, matrix product, and the diagonal ones (batch normalisation, scale).

pub(crate) mod conv;
pub(crate) mod gemm;
mod interval;

use cryptflow_ring::Window;

use super::arithmetic::endless_product;
use super::transposed::{BeforeTranspose, keeps_last};
use super::{OpError, operands};
use crate::graph::Array;
use crate::range::Range;
use conv::Conv;
use gemm::{Extent, Strided};

/// A linear layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Linear {
    /// Convolution of x (NHWC) with w (HWIO), plus a bias. Operands: x, w and optionally bias (one
    /// element an output channel): two or three of them; a depth-wise convolution where `groups` is
    /// the number of input channels (TensorFlow's `[h, w, c, m]` depth-wise filter, read as `[h, w,
    /// 1, c·m]`).
    Conv2d {
        /// Kernel, stride, dilation, padding (zeros).
        window: Window,
        /// Groups.
        groups: usize,
    },
    /// `a · b` of two matrices, each read transposed on demand, plus a bias on each row. Operands:
    /// a, b and optionally bias (one element a column of the result): two or three of them.
    /// Matrices are the last two axes; the axes before them are equal in both operands, or `b` has
    /// none and serves every matrix of `a`.
    MatMul {
        /// Read `a` transposed.
        transpose_a: bool,
        /// Read `b` transposed.
        transpose_b: bool,
    },
    /// `gamma * (x − mean) / sqrt(variance + epsilon) + beta` along the last axis; operands x,
    /// gamma, beta, mean, variance.
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// `x * factor + offset` along the last axis (a diagonal linear layer: a batch normalisation
    /// that no other layer can take up); operands x, factor, offset, the last two vectors as long
    /// as the last axis.
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
                if c.is_depth_wise() {
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

    pub(super) fn image(&self, operands: &[Range]) -> Range {
        match (self, operands) {
            (Linear::Scale, &[x, factor, offset]) => endless_product(x, factor).plus(offset),
            (Linear::Scale, _) => Range::ALL,
            (Linear::Conv2d { .. } | Linear::MatMul { .. } | Linear::BatchNorm { .. }, _) => Range::ALL,
        }
    }

    pub(super) fn work(&self, inputs: &[&[usize]], elements: usize) -> usize {
        let size = |shape: &[usize]| shape.iter().product::<usize>();
        match self {
            // Its columns are outputs.
            Linear::Conv2d { .. } => {
                inputs.get(1).map_or(1, |w| size(w) / w.last().copied().unwrap_or(1).max(1))
            }
            // [m, k] and [k, n] have m·k·k·n elements together.
            Linear::MatMul { .. } => {
                let product = inputs.iter().take(2).fold(1usize, |n, s| n.saturating_mul(size(s)));
                product.checked_div(elements).unwrap_or(0).isqrt()
            }
            Linear::BatchNorm { .. } | Linear::Scale => 1,
        }
    }

    pub(super) fn before_transpose(&self, permutation: &[usize]) -> Option<BeforeTranspose> {
        match self {
            Linear::Scale | Linear::BatchNorm { .. } if keeps_last(permutation) => {
                Some(BeforeTranspose::of_first(self.clone(), permutation))
            }
            Linear::Scale | Linear::BatchNorm { .. } => None,
            Linear::Conv2d { .. } | Linear::MatMul { .. } => None,
        }
    }
}

/// The products of matrices, one after another.
fn multiply(a: &Array, ta: bool, b: &Array, tb: bool) -> Result<Vec<f32>, OpError> {
    let (leading, size) = products("matmul", &a.shape, ta, &b.shape, tb)?;
    let batch: usize = leading.iter().product();
    let mut out = vec![0.0; batch * size.rows * size.columns];
    for i in 0..batch {
        let la = Strided::stored(ta, size.rows, size.inner, i * size.rows * size.inner);
        let start = if b.shape.len() > 2 { i * size.inner * size.columns } else { 0 };
        let lb = Strided::stored(tb, size.inner, size.columns, start);
        let lc = Strided { start: i * size.rows * size.columns, ..Strided::rows(size.columns) };
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

pub(crate) fn two_or_three<'a, T: ?Sized>(
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
pub(crate) fn products<'a>(
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
