//! What importers compose of the graph's operations, because the graph has no operation of its own for it: three-dimensional
//! and transposed convolutions, three-dimensional pools, sums of products, linear maps along an axis. Channels come last throughout.

mod along;
mod convolution;
mod count;
mod pool;
mod product;
mod transposed;

use cryptflow_ring::Movement;

use super::room::Room;
use super::value::{Fault, fits};
use cryptflow_graph::{Array, Graph, Node, NodeId, Op};

pub(super) use along::{Weights, along, gathered};
pub(super) use convolution::{Convolution, convolution};
pub(super) use count::{count_floats, count_integers};
pub(super) use pool::pool;
pub(super) use product::{einsum, matmul};
pub(super) use transposed::{Transposed, transposed};

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
    pub(super) fn extent(&self) -> usize {
        self.kernel.saturating_sub(1).saturating_mul(self.dilation).saturating_add(1)
    }

    /// Places that the window takes along an axis of so many elements.
    fn places(&self, input: usize) -> Result<usize, Fault> {
        let padded = input.saturating_add(self.padding[0]).saturating_add(self.padding[1]);
        if self.kernel == 0 || self.stride == 0 || self.dilation == 0 || self.extent() > padded {
            return Err(format!("its window of {} does not fit {padded} elements", self.extent()).into());
        }
        Ok((padded - self.extent()) / self.stride + 1)
    }
}

/// Adds the parts of one node of the source model to a graph.
pub(super) struct Composer<'a> {
    /// The graph.
    pub(super) graph: &'a mut Graph,
    room: &'a mut Room,
    /// Name of the node: of the result, and the beginning of its parts' names.
    pub(super) name: String,
    parts: usize,
}

impl<'a> Composer<'a> {
    pub(super) fn new(graph: &'a mut Graph, room: &'a mut Room, name: String) -> Composer<'a> {
        Composer { graph, room, name, parts: 0 }
    }

    pub(super) fn shape(&self, id: NodeId) -> &[usize] {
        &self.graph.node(id).shape
    }

    /// Adds an operation on the way to the result. Of constants, the result is computed at once.
    pub(super) fn part(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId, Fault> {
        let op = op.into();
        let name = format!("{}/{}_{}", self.name, op.name().replace(' ', "_"), self.parts);
        self.parts += 1;
        let shapes: Vec<&[usize]> = inputs.iter().map(|&i| self.graph.node(i).shape.as_slice()).collect();
        let shape = op.shape(&shapes)?;
        let elements = fits(&shape)?;
        let constants: Option<Vec<&Array>> = inputs.iter().map(|&i| self.graph.constant(i)).collect();
        if let Some(constants) = constants {
            self.room.compute(&op, &shapes, elements)?;
            let value = op.evaluate(&constants)?;
            return Ok(self.graph.add_constant(name, value));
        }
        Ok(self.graph.push(Node { name, op, inputs: inputs.to_vec(), shape }))
    }

    /// Adds a constant that belongs to the node.
    pub(super) fn constant(&mut self, value: Array) -> NodeId {
        let name = format!("{}/constant_{}", self.name, self.parts);
        self.parts += 1;
        self.graph.add_constant(name, value)
    }

    /// Gives the last part the name of the node.
    pub(super) fn done(&mut self, id: NodeId) -> NodeId {
        self.graph.nodes[id.0].name.clone_from(&self.name);
        id
    }

    pub(super) fn moved(&mut self, movement: Movement, x: NodeId) -> Result<NodeId, Fault> {
        self.part(movement, &[x])
    }

    pub(super) fn reshaped(&mut self, shape: Vec<usize>, x: NodeId) -> Result<NodeId, Fault> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        self.moved(Movement::Reshape { shape }, x)
    }

    pub(super) fn transposed(&mut self, permutation: Vec<usize>, x: NodeId) -> Result<NodeId, Fault> {
        if permutation.iter().enumerate().all(|(i, &p)| i == p) {
            return Ok(x);
        }
        self.moved(Movement::Transpose { permutation }, x)
    }

    /// Zeros before and after one axis.
    fn padded(&mut self, axis: usize, [before, after]: [usize; 2], x: NodeId) -> Result<NodeId, Fault> {
        if before == 0 && after == 0 {
            return Ok(x);
        }
        let rank = self.shape(x).len();
        let one = |n| (0..rank).map(|i| if i == axis { n } else { 0 }).collect();
        self.moved(Movement::Pad { before: one(before), after: one(after) }, x)
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
        self.moved(movement, x)
    }
}
