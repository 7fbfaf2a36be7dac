//! An axis through a constant matrix: interpolation, cumulative sums, sums over neighbouring
//! channels.

use super::MATRIX_PRODUCT;
use crate::budget::check_made;
use crate::builder::Builder;
use crate::value::Fault;
use cryptflow_graph::{Arithmetic, Array, Function, NodeId};

/// The weights of a linear map of an axis: `[from, to]`, row-major.
pub(crate) struct Weights {
    from: usize,
    to: usize,
    data: Vec<f32>,
    /// What is added to each element of the result.
    offset: Vec<f32>,
}

impl Weights {
    /// Zeros.
    pub(crate) fn new(from: usize, to: usize) -> Result<Weights, Fault> {
        check_made(&[from, to])?;
        Ok(Weights { from, to, data: vec![0.0; from * to], offset: vec![0.0; to] })
    }

    /// Adds to the weight with which element `from` counts in element `to`. Places outside are
    /// passed over.
    pub(crate) fn add(&mut self, from: usize, to: usize, weight: f32) {
        if from < self.from
            && to < self.to
            && let Some(slot) = self.data.get_mut(from * self.to + to)
        {
            *slot += weight;
        }
    }

    /// Puts this number, and nothing else, into element `to`.
    pub(crate) fn put(&mut self, to: usize, number: f32) {
        if let Some(slot) = self.offset.get_mut(to) {
            *slot = number;
        }
    }

    /// Those of sums up to each of `n` elements, with it or without; or from it on.
    pub(crate) fn triangle(n: usize, exclusive: bool, reverse: bool) -> Result<Weights, Fault> {
        let mut weights = Weights::new(n, n)?;
        for low in 0..n {
            for high in low + usize::from(exclusive)..n {
                let (from, to) = if reverse { (high, low) } else { (low, high) };
                weights.add(from, to, 1.0);
            }
        }
        Ok(weights)
    }
}

/// Each row along an axis times the weights; the other axes stay as they are.
pub(crate) fn along(c: &mut Builder<'_>, x: NodeId, axis: usize, weights: Weights) -> Result<NodeId, Fault> {
    let rank = c.shape(x).len();
    if axis >= rank {
        return Err(format!("has no axis {axis}").into());
    }
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(axis, rank - 1);
    turned(c, x, permutation, weights)
}

/// Each row along the last axis of a transpose times the weights; the axes then go back.
fn turned(
    c: &mut Builder<'_>,
    x: NodeId,
    permutation: Vec<usize>,
    weights: Weights,
) -> Result<NodeId, Fault> {
    let Weights { from, to, data, offset } = weights;
    let matrix = c.add_numbered_constant(Array::new(vec![from, to], data)?);
    let mut back = vec![0; permutation.len()];
    permutation.iter().enumerate().for_each(|(i, &axis)| back[axis] = i);
    let last = c.transpose(permutation, x)?;
    let mut shape = c.shape(last).to_vec();
    let rows = shape.iter().take(shape.len() - 1).product();
    let flat = c.reshape(vec![rows, from], last)?;
    let mut product = c.add_numbered(MATRIX_PRODUCT, &[flat, matrix])?;
    if offset.iter().any(|v| *v != 0.0) {
        let offset = c.add_numbered_constant(Array::vector(offset));
        product = c.add_numbered(Arithmetic::Add, &[product, offset])?;
    }
    if let Some(length) = shape.last_mut() {
        *length = to;
    }
    let whole = c.reshape(shape, product)?;
    c.transpose(back, whole)
}

/// `x / (bias + alpha · sum of squares of neighbouring channels)^beta`: of so many channels before
/// and behind, along an axis.
pub(crate) fn local_response(
    c: &mut Builder<'_>,
    x: NodeId,
    axis: usize,
    [before, behind]: [usize; 2],
    [alpha, bias, beta]: [f32; 3],
) -> Result<NodeId, Fault> {
    let (rank, channels) = (c.shape(x).len(), c.shape(x)[axis]);
    let mut weights = Weights::new(channels, channels)?;
    for to in 0..channels {
        for from in to.saturating_sub(before)..=to.saturating_add(behind).min(channels - 1) {
            weights.add(from, to, alpha);
        }
    }
    let squares = c.add_numbered(Arithmetic::Mul, &[x, x])?;
    // As a layer behind it has its channels.
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation[axis..].rotate_left(1);
    let sums = turned(c, squares, permutation, weights)?;
    let bias = c.add_numbered_constant(Array::scalar(bias));
    let sums = c.add_numbered(Arithmetic::Add, &[sums, bias])?;
    let factor = c.add_numbered(Function::power(-beta), &[sums])?;
    c.add_numbered(Arithmetic::Mul, &[x, factor])
}
