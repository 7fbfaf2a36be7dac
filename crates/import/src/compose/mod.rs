//! What importers compose of the graph's operations, because the graph has no operation of its own
//! for it: three-dimensional and transposed convolutions, three-dimensional pools, sums of
//! products, linear maps along an axis, tables that secret ids are looked up in, numbers on grids
//! and within limits. Channels come last throughout.

mod along;
mod attention;
mod convolution;
mod count;
mod grid;
mod limits;
mod look_up;
mod pool;
mod product;
mod transposed;

use cryptflow_ring::Movement;

use super::builder::Builder;
use super::value::Fault;
use cryptflow_graph::{Linear, NodeId, Reduce, Reduction};

pub(super) use along::{Weights, along, local_response};
pub(super) use attention::{Mask, Scores, attention, heads, one_after_another, turned};
pub(super) use convolution::{Convolution, convolution, window};
pub(super) use count::{count_floats, count_integers};
pub(super) use grid::{Grid, off_grid, on_grid};
pub(super) use limits::within;
pub(super) use look_up::{Ids, elements_looked_up, looked_up, rows, slices_looked_up};
pub(super) use pool::pool;
pub(super) use product::{einsum, matmul, numpy_product};
pub(super) use transposed::{Transposed, transposed};

/// No window is larger, and none steps further.
pub(super) const MAX_WINDOW: i64 = 1 << 20;

/// A product of two matrices as they are.
pub(super) const MATRIX_PRODUCT: Linear = Linear::MatMul { transpose_a: false, transpose_b: false };

/// A reduction whose axes stay, with one element each.
pub(super) fn kept(kind: Reduction, axes: Vec<usize>) -> Reduce {
    Reduce { kind, axes, keep_dims: true }
}

/// How a window slides along one spatial axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slide {
    /// Taps.
    pub(super) kernel: usize,
    /// Step.
    pub(super) stride: usize,
    /// Distance between taps.
    pub(super) dilation: usize,
    /// Elements added before and after.
    pub(super) padding: [usize; 2],
}

impl Slide {
    /// An axis that a window does not cover: one tap.
    pub(super) const NONE: Slide = Slide { kernel: 1, stride: 1, dilation: 1, padding: [0, 0] };

    /// Elements from the first tap to the last one, both included.
    pub(crate) fn extent(&self) -> usize {
        self.kernel.saturating_sub(1).saturating_mul(self.dilation).saturating_add(1)
    }

    /// Slides over as many axes as there are taps, steps and distances; nothing is padded.
    pub(super) fn bare(kernel: &[usize], stride: &[usize], dilation: &[usize]) -> Vec<Slide> {
        let slide = |((&kernel, &stride), &dilation)| Slide { kernel, stride, dilation, padding: [0; 2] };
        kernel.iter().zip(stride).zip(dilation).map(slide).collect()
    }

    /// Elements that an axis of so many lacks for each step to have its place.
    pub(super) fn missing(&self, input: usize) -> usize {
        let reach = input.div_ceil(self.stride).saturating_sub(1).saturating_mul(self.stride);
        reach.saturating_add(self.extent()).saturating_sub(input)
    }

    /// Places that the window takes along an axis of so many elements.
    pub(super) fn places(&self, input: usize) -> Result<usize, Fault> {
        let padded = input.saturating_add(self.padding[0]).saturating_add(self.padding[1]);
        if self.kernel == 0 || self.stride == 0 || self.dilation == 0 || self.extent() > padded {
            return Err(format!("its window of {} does not fit {padded} elements", self.extent()).into());
        }
        Ok((padded - self.extent()) / self.stride + 1)
    }
}

/// Parts are named by their numbers: how many there are depends on the window.
impl Builder<'_> {
    pub(crate) fn move_elements(&mut self, movement: Movement, x: NodeId) -> Result<NodeId, Fault> {
        self.add_numbered(movement, &[x])
    }

    pub(crate) fn reshape(&mut self, shape: Vec<usize>, x: NodeId) -> Result<NodeId, Fault> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        self.move_elements(Movement::Reshape { shape }, x)
    }

    pub(crate) fn transpose(&mut self, permutation: Vec<usize>, x: NodeId) -> Result<NodeId, Fault> {
        if permutation.iter().enumerate().all(|(i, &p)| i == p) {
            return Ok(x);
        }
        self.move_elements(Movement::Transpose { permutation }, x)
    }

    /// Zeros before and after one axis.
    fn pad(&mut self, axis: usize, [before, after]: [usize; 2], x: NodeId) -> Result<NodeId, Fault> {
        if before == 0 && after == 0 {
            return Ok(x);
        }
        let rank = self.shape(x).len();
        let one = |n| (0..rank).map(|i| if i == axis { n } else { 0 }).collect();
        self.move_elements(Movement::Pad { before: one(before), after: one(after) }, x)
    }

    /// `size` elements of one axis.
    fn cut(
        &mut self,
        axis: usize,
        first: usize,
        size: usize,
        stride: isize,
        x: NodeId,
    ) -> Result<NodeId, Fault> {
        let shape = self.shape(x);
        if first == 0 && stride == 1 && shape.get(axis) == Some(&size) {
            return Ok(x);
        }
        let movement = super::value::along(shape, axis, first, size, stride);
        self.move_elements(movement, x)
    }
}
