//! Ranges of linear layers: sums of the worst of every term.

use cryptflow_ring::{Movement, Window};

use super::{Linear, normalisation};
use crate::graph::Array;
use crate::range::Range;
use crate::ranges::{Operands, Rounding};

impl Linear {
    pub(in crate::operations) fn interval(&self, given: &Operands<'_>) -> Vec<Range> {
        match self {
            Linear::Conv2d { window, groups } => conv(given, window, *groups),
            Linear::MatMul { transpose_a, transpose_b } => matmul(given, *transpose_a, *transpose_b),
            Linear::BatchNorm { epsilon } => {
                let parts: Vec<&[f32]> =
                    (1..5).filter_map(|i| given.constant(i)).map(|a| a.data.as_slice()).collect();
                match parts.as_slice() {
                    [gamma, beta, mean, variance] => {
                        let (factor, offset) = normalisation(gamma, beta, mean, variance, *epsilon);
                        diagonal(given, &factor, &offset)
                    }
                    _ => given.nothing(),
                }
            }
            Linear::Scale => match (given.constant(1), given.constant(2)) {
                (Some(factor), Some(offset)) => diagonal(given, &factor.data, &offset.data),
                _ => given.nothing(),
            },
        }
    }
}

fn conv(given: &Operands<'_>, window: &Window, groups: usize) -> Vec<Range> {
    let (x, n) = (given.first(), given.channels);
    let Some(filter) = given.constant(1) else { return given.nothing() };
    let in_group = x.len() / groups.max(1);
    let out_group = (n / groups.max(1)).max(1);
    let padded: Vec<Range> = x.iter().map(|r| if window.is_padded() { r.with_zero() } else { *r }).collect();
    let term = |row: usize, out: usize| padded.get((out / out_group) * in_group + row % in_group.max(1));
    linear(&filter.data, n, &term, bias(given), given.rounding)
}

/// The bias of a layer, if it is a constant.
fn bias<'a>(given: &Operands<'a>) -> Option<&'a [f32]> {
    given.constant(2).map(|b| b.data.as_slice())
}

fn matmul(given: &Operands<'_>, ta: bool, tb: bool) -> Vec<Range> {
    let (n, rounding) = (given.channels, given.rounding);
    let constants = (given.constant(0), given.constant(1));
    if matches!(constants, (None, None)) || given.shape(0).len().max(given.shape(1).len()) > 2 {
        return product(given, ta);
    }
    let transposed =
        |w: &Array| Movement::Transpose { permutation: vec![1, 0] }.apply(&[(&w.shape, &w.data)]);
    match constants {
        (_, Some(w)) => {
            let x = given.first();
            let whole = given.whole(0);
            // Read transposed, the last axis of x is not the one that is summed over.
            let term = |row: usize, _| if ta { Some(&whole) } else { x.get(row) };
            let data = if tb { transposed(w) } else { Ok(w.data.to_vec()) };
            data.map_or(given.nothing(), |data| linear(&data, n, &term, bias(given), rounding))
        }
        (Some(w), None) => {
            let whole = given.whole(1);
            let data = if ta { Ok(w.data.to_vec()) } else { transposed(w) };
            let last = w.shape.last().copied().unwrap_or(1);
            let leading = w.data.len() / last.max(1);
            let columns = if ta { last } else { leading };
            let ranges = data.map(|data| {
                linear(&data, columns.min(last.max(leading)).max(1), &|_, _| Some(&whole), None, rounding)
            });
            given.filled(ranges.map_or(Range::EMPTY, |r| Range::of_all(&r)))
        }
        (None, None) => given.nothing(),
    }
}

/// A product of two secret matrices, or of stacks of them: one range for all.
fn product(given: &Operands<'_>, ta: bool) -> Vec<Range> {
    let shape = given.shape(0);
    let inner = if ta { shape.len().checked_sub(2) } else { shape.len().checked_sub(1) };
    let inner = inner.and_then(|axis| shape.get(axis)).copied().unwrap_or(1);
    let product = given.whole(0).times(given.whole(1));
    let rounding = given.rounding;
    let error = rounding.of_weights(1.0) * product.magnitude() * inner as f64 + 2.0 * rounding.unit;
    let sum = product.sum_of(inner, false).grown(error);
    let biases = bias(given)
        .map_or(Range::point(0.0), |b| b.iter().fold(Range::EMPTY, |r, &v| r.union(Range::point(v.into()))));
    given.filled(sum.plus(biases))
}

fn diagonal(given: &Operands<'_>, factor: &[f32], offset: &[f32]) -> Vec<Range> {
    let largest = factor.iter().fold(0.0f32, |m, f| m.max(f.abs()));
    let error = given.rounding.of_weights(largest);
    let one = |((r, &f), &o): ((&Range, &f32), &f32)| {
        let product = r.times(Range::point(f.into()));
        product.plus(Range::point(o.into())).grown(r.magnitude() * error + 2.0 * given.rounding.unit)
    };
    given.first().iter().zip(factor).zip(offset).map(one).collect()
}

/// The ranges of the columns of `x · w + bias` for w in rows of `columns`, `term(row, column)` the
/// range of what it multiplies.
fn linear<'a>(
    w: &[f32],
    columns: usize,
    term: &dyn Fn(usize, usize) -> Option<&'a Range>,
    bias: Option<&[f32]>,
    rounding: &Rounding<'_>,
) -> Vec<Range> {
    let largest = w.iter().fold(0.0f32, |m, w| m.max(w.abs()));
    let error = rounding.of_weights(largest);
    let mut ranges = vec![Range::point(0.0); columns];
    for (row, weights) in w.chunks(columns.max(1)).enumerate() {
        for (column, (range, &w)) in ranges.iter_mut().zip(weights).enumerate() {
            let Some(x) = term(row, column) else { continue };
            *range = range.plus(x.times(Range::point(w.into())).grown(x.magnitude() * error));
        }
    }
    for (column, range) in ranges.iter_mut().enumerate() {
        let b = bias.and_then(|b| b.get(column)).map_or(0.0, |&b| b.into());
        *range = range.plus(Range::point(b)).grown(2.0 * rounding.unit);
    }
    ranges
}
