//! What both importers have in common where they run loops and branches.

use super::node::Value;
use cryptflow_graph::{Graph, NodeId};

/// Functions that call functions, and branches in branches, go no deeper.
pub(crate) const MAX_DEPTH: usize = 32;

/// A model has no more nodes after its functions have been put in the places of their calls, and its loops have
/// been written out.
pub(crate) const MAX_NODES: usize = 1 << 18;

/// A loop has no more steps.
pub(crate) const MAX_STEPS: usize = 1 << 12;

/// Whether a condition holds, where that is known.
pub(crate) fn truth(graph: &Graph, condition: &Value) -> Option<bool> {
    let number = |id: NodeId| match graph.constant(id)?.data.as_slice() {
        [number] => Some(*number != 0.0),
        _ => None,
    };
    match condition {
        Value::Int(ints) => match ints.data.as_slice() {
            [number] => Some(*number != 0),
            _ => None,
        },
        Value::Tensor(id) => number(*id),
        Value::List(_)
        | Value::Opaque(_)
        | Value::Label(..)
        | Value::Absent
        | Value::Dead
        | Value::Unknown => None,
    }
}
