//! The graph: floating-point operations on tensors of static shape, named as in the source model.

use std::sync::Arc;

use cryptflow_ring::{Movement, Window};

/// A constant tensor: contiguous, row-major. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Elements.
    pub data: Arc<Vec<f32>>,
}

/// Index of a node of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// A node: one operation with one result.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name in the source model.
    pub name: String,
    /// The operation.
    pub op: Op,
    /// Operands.
    pub inputs: Vec<NodeId>,
    /// Shape of the result.
    pub shape: Vec<usize>,
}

/// A graph in topological order: a node's operands come before it.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Name of the model.
    pub name: String,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The placeholders, in the order in which a caller gives their values.
    pub inputs: Vec<NodeId>,
    /// The outputs, in the order in which a caller gets them.
    pub outputs: Vec<NodeId>,
}

/// The operations of a graph after import. Importers translate what they read into these; multi-output nodes of the
/// source become one node for each result that is used. Shapes and attributes are static, padding is explicit.
///
/// Each family has its file in `operations/`, with the shape rule, the float evaluation and the lowering side by side.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A placeholder.
    Input,
    /// A constant: a weight, or an attribute in the shape of a tensor.
    Constant(Array),

    // operations/linear.rs
    /// Convolution of x (NHWC) with w (HWIO); depth-wise where `groups` is the number of input channels (TensorFlow's
    /// `[h, w, c, m]` depth-wise filter, read as `[h, w, 1, c·m]`).
    Conv2d {
        /// Kernel, stride, dilation, padding (zeros).
        window: Window,
        /// Groups.
        groups: usize,
    },
    /// `a · b` of two matrices, each read transposed on demand.
    MatMul {
        /// Read `a` transposed.
        transpose_a: bool,
        /// Read `b` transposed.
        transpose_b: bool,
    },
    /// `gamma * (x − mean) / sqrt(variance + epsilon) + beta` along the last axis; operands x, gamma, beta, mean, variance.
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },

    // operations/arithmetic.rs
    /// `a + b`, broadcasting as in numpy.
    Add,
    /// `a − b`, broadcasting.
    Sub,
    /// `a * b`, broadcasting.
    Mul,
    /// `a / b`, broadcasting; for constants b.
    Div,

    // operations/activation.rs
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), limit)`.
    ClippedRelu {
        /// The limit: 6 for Relu6.
        limit: f32,
    },
    /// Softmax along the last axis.
    Softmax,

    // operations/pool.rs
    /// Maximum over windows of NHWC; padding never wins.
    MaxPool {
        /// The window.
        window: Window,
    },
    /// Mean over windows of NHWC.
    AvgPool {
        /// The window.
        window: Window,
        /// Whether padding counts as elements (ONNX's `count_include_pad`); in TensorFlow it does not.
        count_padding: bool,
    },

    // operations/reduce.rs
    /// Mean over axes.
    Mean {
        /// The axes, ascending.
        axes: Vec<usize>,
        /// Keep them as axes of length 1.
        keep_dims: bool,
    },
    /// Sum over axes.
    Sum {
        /// The axes, ascending.
        axes: Vec<usize>,
        /// Keep them as axes of length 1.
        keep_dims: bool,
    },
    /// Index of the largest element along an axis, the lowest one of several. The result holds integers.
    ArgMax {
        /// The axis, which disappears.
        axis: usize,
    },

    // operations/shape.rs
    /// A movement of elements: reshape, transpose, pad, slice, concatenation, broadcast.
    Movement(Movement),
    /// The operand itself (Identity, StopGradient, Dropout in inference, …); the passes remove it.
    Identity,
}

impl Graph {
    /// The node with this index.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Adds a node and returns its index; its operands must already be there.
    pub fn push(&mut self, node: Node) -> NodeId {
        debug_assert!(node.inputs.iter().all(|i| i.0 < self.nodes.len()));
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// For each node, the nodes that use its result, ascending (a node that uses it twice is listed twice).
    pub fn uses(&self) -> Vec<Vec<NodeId>> {
        let mut uses = vec![Vec::new(); self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                uses[input.0].push(NodeId(i));
            }
        }
        uses
    }

    /// The constant that an operand is, if it is one.
    pub fn constant(&self, id: NodeId) -> Option<&Array> {
        match &self.node(id).op {
            Op::Constant(array) => Some(array),
            _ => None,
        }
    }
}
