//! An axis through a constant matrix: interpolation, cumulative sums, sums over neighbouring
//! channels.

use cryptflow_ring::Movement;

use super::MATRIX_PRODUCT;
use crate::builder::Builder;
use crate::value::Fault;
use cryptflow_graph::{Array, NodeId};

/// The weights of a linear map of an axis: `[from, to]`, row-major.
pub(crate) struct Weights {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) data: Vec<f32>,
}

impl Weights {
    /// Zeros.
    pub(crate) fn new(from: usize, to: usize) -> Weights {
        Weights { from, to, data: vec![0.0; from * to] }
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
}

/// Each row along an axis times the weights; the other axes stay as they are.
pub(crate) fn along(c: &mut Builder<'_>, x: NodeId, axis: usize, weights: Weights) -> Result<NodeId, Fault> {
    let rank = c.shape(x).len();
    if axis >= rank {
        return Err(format!("has no axis {axis}").into());
    }
    let Weights { from, to, data } = weights;
    let matrix = c.add_numbered_constant(Array::new(vec![from, to], data)?);
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(axis, rank - 1);
    let last = c.transpose(permutation.clone(), x)?;
    let mut shape = c.shape(last).to_vec();
    let rows = shape.iter().take(rank - 1).product();
    let flat = c.reshape(vec![rows, from], last)?;
    let product = c.add_numbered(MATRIX_PRODUCT, &[flat, matrix])?;
    if let Some(length) = shape.last_mut() {
        *length = to;
    }
    let whole = c.reshape(shape, product)?;
    c.transpose(permutation, whole)
}

/// The elements of an axis at these places.
pub(crate) fn gathered(
    c: &mut Builder<'_>,
    x: NodeId,
    axis: usize,
    indices: Vec<usize>,
) -> Result<NodeId, Fault> {
    c.move_elements(Movement::Gather { axis, indices }, x)
}
