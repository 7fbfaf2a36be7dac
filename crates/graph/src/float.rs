//! The float interpreter: runs a graph in f32, node by node. It is the plaintext answer that fixed
//! point is compared with, and the source of calibration data.

use crate::graph::{Array, Graph, NodeId};
use crate::operations::{Op, OpError};

/// Why a graph could not be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FloatError {
    /// Too many or too few inputs.
    #[error("the model has {expected} inputs ({names}), but {given} were given")]
    Inputs {
        /// Inputs of the graph.
        expected: usize,
        /// Their names.
        names: String,
        /// Inputs given.
        given: usize,
    },
    /// An input of another shape than the placeholder's.
    #[error("input {name:?} must have the shape {expected:?}, not {given:?}")]
    InputShape {
        /// The placeholder.
        name: String,
        /// Its shape.
        expected: Vec<usize>,
        /// The shape of what was given.
        given: Vec<usize>,
    },
    /// An operation that could not be evaluated.
    #[error("node {node:?}: {source}")]
    Operation {
        /// The node.
        node: String,
        /// Why.
        source: OpError,
    },
    /// A gradient of another shape than its node's value.
    #[error("the gradient of node {node:?} must have the shape {expected:?} of its value, not {given:?}")]
    GradientShape {
        /// The node.
        node: String,
        /// The shape of its value.
        expected: Vec<usize>,
        /// The shape of the gradient that was given.
        given: Vec<usize>,
    },
    /// A gradient of a node that is not there.
    #[error("a gradient is given for node {index}, but the graph has {nodes} nodes")]
    NoNode {
        /// The node's index.
        index: usize,
        /// Nodes of the graph.
        nodes: usize,
    },
    /// A graph that is not in topological order.
    #[error("node {node:?} uses a value that is not computed before it: the graph is not in order")]
    Order {
        /// The node.
        node: String,
    },
}

/// Runs a graph on one value for each of its inputs and returns its outputs, in order.
///
/// `observe` sees the result of every node, inputs and constants among them, in the order of the
/// graph. A value is freed after its last use, so that no more memory is held than the widest place
/// of the graph needs.
pub fn run(
    graph: &Graph,
    inputs: &[Array],
    observe: &mut dyn FnMut(NodeId, &Array),
) -> Result<Vec<Array>, FloatError> {
    let name = |id: NodeId| graph.node(id).name.clone();
    if inputs.len() != graph.inputs.len() {
        let names: Vec<String> = graph.inputs.iter().map(|&id| name(id)).collect();
        return Err(FloatError::Inputs {
            expected: graph.inputs.len(),
            names: names.join(", "),
            given: inputs.len(),
        });
    }
    let mut values: Vec<Option<Array>> = vec![None; graph.nodes.len()];
    for (&id, value) in graph.inputs.iter().zip(inputs) {
        let expected = &graph.node(id).shape;
        if *expected != value.shape {
            return Err(FloatError::InputShape {
                name: name(id),
                expected: expected.clone(),
                given: value.shape.clone(),
            });
        }
        values[id.0] = Some(value.clone());
    }
    let last_uses = graph.last_uses();
    for (i, node) in graph.nodes.iter().enumerate() {
        if !matches!(node.op, Op::Input) {
            let order = || FloatError::Order { node: node.name.clone() };
            let operands: Option<Vec<&Array>> = node.inputs.iter().map(|id| values[id.0].as_ref()).collect();
            let operation = |source| FloatError::Operation { node: node.name.clone(), source };
            let value = node.op.evaluate(&operands.ok_or_else(order)?).map_err(operation)?;
            values[i] = Some(value);
        }
        if let Some(value) = &values[i] {
            observe(NodeId(i), value);
        }
        for dead in &last_uses[i] {
            values[dead.0] = None;
        }
    }
    let output = |&id: &NodeId| values[id.0].clone().ok_or_else(|| FloatError::Order { node: name(id) });
    graph.outputs.iter().map(output).collect()
}
