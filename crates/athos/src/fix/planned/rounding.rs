//! What rounding was seen to do to values, on examples that are all within what a program was made for.

use std::collections::HashMap;

use cryptflow_graph::{Activation, Arithmetic, Graph, NodeId, Op, Range};

use super::lower::gaps::quotients;
use crate::fix::bounded::gap::Magnitudes;
use crate::fix::decides;

/// How many times the usual error, of all values together, equal ones are apart at most: nine of ten errors
/// are no larger than usual, and ones that are twice as large are rare.
pub(crate) const FARTHER: f64 = 2.2;

/// What runs of a program showed of its rounding.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounding {
    /// For functions, by their nodes, the range that rounding led their operands to, beyond their domains.
    pub(crate) strays: HashMap<String, Range>,
    /// The fractional bits of activations in those runs.
    pub(crate) scale: u32,
    /// Whether what is equal follows from that: something is compared.
    pub(crate) compares: bool,
    /// How far the values of nodes that matter by it are off.
    pub(crate) errors: HashMap<NodeId, Error>,
    /// The magnitudes of what is divided by, or what functions with a pole at zero are taken of.
    pub(crate) magnitudes: HashMap<NodeId, Magnitudes>,
}

/// How far a value is off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Error {
    /// By this, mostly, and by the same in each run: what was given is rounded, and nothing after that.
    Always(f64),
    /// By no more than this, mostly; and hardly ever by more than [`FARTHER`] times as much.
    Usually(f64),
}

impl Rounding {
    /// How far a node's value is off, mostly.
    pub(crate) fn error(&self, graph: &Graph, id: NodeId) -> f64 {
        match self.errors.get(&same(graph, id)) {
            Some(Error::Usually(error) | Error::Always(error)) => *error,
            None => 0.0,
        }
    }

    /// By how much two values that are equal in the float model may differ, of which these nodes'
    /// values are the difference, at a scale; none where nothing is known of one of them.
    pub(crate) fn tie(&self, graph: &Graph, of: &[NodeId], scale: u32) -> Option<f64> {
        let error = |&id: &NodeId| match self.errors.get(&same(graph, id))? {
            Error::Always(_) => Some(0.0),
            Error::Usually(error) => Some(error * error),
        };
        let secret = of.iter().filter(|id| graph.constant(**id).is_none());
        // Units are the smaller, the more of them there are.
        let smaller = (f64::from(self.scale) - f64::from(scale)).exp2();
        let squares: Option<f64> = self.compares.then(|| secret.map(error).sum()).flatten();
        squares.map(|all| FARTHER * all.sqrt() * smaller)
    }
}

/// The nodes whose errors [`Rounding`] keeps: what is compared, and both sides of quotients.
pub(crate) fn watched(graph: &Graph) -> Vec<bool> {
    let mut watched = compared(graph);
    for quotient in quotients(graph) {
        for id in [Some(quotient.by), quotient.of].into_iter().flatten() {
            watched[same(graph, id).0] = true;
        }
    }
    watched
}

/// The nodes that are compared, or at which something jumps.
pub(crate) fn compared(graph: &Graph) -> Vec<bool> {
    let mut watched = vec![false; graph.nodes.len()];
    for node in &graph.nodes {
        let compared = match &node.op {
            op if decides(op) => &node.inputs[..],
            // The condition.
            Op::Arithmetic(Arithmetic::Select) => node.inputs.get(..1).unwrap_or_default(),
            // Nothing else compares.
            _ => &[],
        };
        for &input in compared.iter().filter(|id| graph.constant(**id).is_none()) {
            let input = same(graph, input);
            watched[input.0] = true;
            // Whose order is that of its operand.
            if let (Op::Activation(Activation::Softmax), Some(&logits)) =
                (&graph.node(input).op, graph.node(input).inputs.first())
            {
                watched[same(graph, logits).0] = true;
            }
        }
    }
    watched
}

/// The node that gave a value its name: what is handed on as it is has that of where it was made.
fn same(graph: &Graph, id: NodeId) -> NodeId {
    let node = graph.node(id);
    match (&node.op, node.inputs.first()) {
        (Op::Identity, Some(&operand)) => same(graph, operand),
        // Anything else is a value of its own.
        _ => id,
    }
}
