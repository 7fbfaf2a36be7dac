//! Gradients of linear layers, of their weights too, where these are computed.

use super::Step;
use super::conv;
use crate::graph::Array;
use crate::operations::linear::conv::Conv;
use crate::operations::linear::gemm::{self, Extent, Strided};
use crate::operations::linear::{products, two_or_three};
use crate::operations::{Linear, OpError, normalisation, operands};

pub(super) fn towards(linear: &Linear, step: &Step<'_>, operand: usize) -> Result<Array, OpError> {
    let op = linear.name();
    let gradient = &step.gradient.data;
    let shape = step.operands[operand].shape.clone();
    let data = match linear {
        Linear::Conv2d { window, groups } => {
            let (x, w, _) = two_or_three(op, step.operands)?;
            let c = Conv::of(op, window, *groups, &x.shape, &w.shape)?;
            match operand {
                0 => conv::towards_input(&c, &w.data, gradient)?,
                1 => conv::towards_filter(&c, &x.data, gradient)?,
                // The third, the bias.
                _ => column_sums(gradient, c.out_channels),
            }
        }
        Linear::MatMul { transpose_a, transpose_b } => matmul(step, [*transpose_a, *transpose_b], operand)?,
        Linear::Scale => {
            let [x, factor, _] = operands(op, "three", step.operands)?;
            match operand {
                0 => times_columns(gradient, &factor.data),
                1 => column_sums(&times(gradient, &x.data), factor.data.len()),
                // The third, the offset.
                _ => column_sums(gradient, factor.data.len()),
            }
        }
        Linear::BatchNorm { epsilon } => {
            let [x, gamma, beta, mean, variance] = operands(op, "five", step.operands)?;
            let (factor, _) = normalisation(&gamma.data, &beta.data, &mean.data, &variance.data, *epsilon);
            let channels = factor.len();
            let centred = || {
                let mean = mean.data.iter().cycle();
                let centred: Vec<f32> = x.data.iter().zip(mean).map(|(x, m)| x - m).collect();
                column_sums(&times(gradient, &centred), channels)
            };
            let variances = variance.data.iter().map(|v| v + epsilon);
            match operand {
                0 => times_columns(gradient, &factor),
                1 => centred().iter().zip(variances).map(|(g, v)| g / v.sqrt()).collect(),
                2 => column_sums(gradient, channels),
                3 => column_sums(gradient, channels).iter().zip(&factor).map(|(g, f)| -g * f).collect(),
                // The fifth, the variance.
                _ => {
                    let factors = factor.iter().zip(variances);
                    centred().iter().zip(factors).map(|(g, (f, v))| -0.5 * g * f / v).collect()
                }
            }
        }
    };
    Array::new(shape, data)
}

/// The gradient of a, `gradient · bᵀ`; of b, `aᵀ · gradient`, summed over all products that a single
/// b serves; or of the bias.
fn matmul(step: &Step<'_>, [ta, tb]: [bool; 2], operand: usize) -> Result<Vec<f32>, OpError> {
    let (a, b, _) = two_or_three("matmul", step.operands)?;
    let (leading, size) = products("matmul", &a.shape, ta, &b.shape, tb)?;
    let Extent { rows, inner, columns } = size;
    if operand > 1 {
        return Ok(column_sums(&step.gradient.data, columns));
    }
    let batch: usize = leading.iter().product();
    let shared = b.shape.len() == 2;
    let mut back = vec![0.0; step.operands[operand].data.len()];
    let mut product = if shared && batch > 1 && operand == 1 { vec![0.0; back.len()] } else { Vec::new() };
    for i in 0..batch {
        let la = Strided::stored(ta, rows, inner, i * rows * inner);
        let lb = Strided::stored(tb, inner, columns, if shared { 0 } else { i * inner * columns });
        let lg = Strided { start: i * rows * columns, ..Strided::rows(columns) };
        let g = &step.gradient.data;
        if operand == 0 {
            let size = Extent { rows, inner: columns, columns: inner };
            gemm::multiply(size, g, lg, &b.data, lb.transposed(), &mut back, la)?;
            continue;
        }
        let size = Extent { rows: inner, inner: rows, columns };
        if product.is_empty() {
            gemm::multiply(size, &a.data, la.transposed(), g, lg, &mut back, lb)?;
        } else {
            gemm::multiply(size, &a.data, la.transposed(), g, lg, &mut product, lb)?;
            back.iter_mut().zip(&product).for_each(|(sum, p)| *sum += p);
        }
    }
    Ok(back)
}

fn times(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

/// The rows of a matrix, each times a vector.
fn times_columns(rows: &[f32], factor: &[f32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows.len());
    for row in rows.chunks_exact(factor.len().max(1)) {
        out.extend(row.iter().zip(factor).map(|(g, f)| g * f));
    }
    out
}

/// The sums of a matrix of that many columns over its rows.
fn column_sums(rows: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; columns];
    for row in rows.chunks_exact(columns.max(1)) {
        sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
    }
    sums.into_iter().map(|v| v as f32).collect()
}
