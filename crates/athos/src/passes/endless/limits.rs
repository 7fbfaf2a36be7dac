//! Limits that cut nothing, and comparisons and choices that are known: an endless constant stands on
//! one side of everything.

use cryptflow_graph::operations::ENDLESS;
use cryptflow_graph::{Activation, Arithmetic, Array, Graph, NodeId, Op};
use cryptflow_ring::Movement;

use super::made;

/// What a node is whose constant limits nothing, or decides everything: an operation, its operands,
/// and what to say of it.
pub(super) fn without(graph: &Graph, id: NodeId) -> Option<(Op, Vec<NodeId>, &'static str)> {
    let node = graph.node(id);
    let alone = |x: NodeId| -> Op {
        if graph.node(x).shape == node.shape {
            return Op::Identity;
        }
        Movement::Broadcast { shape: node.shape.clone() }.into()
    };
    let all = |c: NodeId, f: &dyn Fn(f32) -> bool| {
        graph.constant(c).is_some_and(|c| !c.data.is_empty() && c.data.iter().all(|&v| f(v)))
    };
    match (&node.op, node.inputs.as_slice()) {
        (Op::Arithmetic(op @ (Arithmetic::Maximum | Arithmetic::Minimum)), &[a, b]) => {
            let sign = if *op == Arithmetic::Maximum { -1.0 } else { 1.0 };
            let idle = |c: NodeId| all(c, &|v| v * sign >= ENDLESS);
            let x = if idle(b) { a } else { Some(b).filter(|_| idle(a))? };
            Some((alone(x), vec![x], "removed: its limit cuts nothing"))
        }
        (Op::Activation(Activation::ClippedRelu { limit }), inputs) if *limit >= ENDLESS => {
            Some((Op::Activation(Activation::Relu), inputs.to_vec(), "a ReLU: its limit cuts nothing"))
        }
        (Op::Arithmetic(Arithmetic::Compare(comparison)), &[a, b]) => {
            // What is compared with it is beside it, wherever that is; and no number is unlike itself.
            let side = |c: NodeId| match [1.0, -1.0].map(|sign| all(c, &|v| v * sign >= ENDLESS)) {
                [true, _] => Some(1.0),
                [_, true] => Some(-1.0),
                _ => None,
            };
            let holds = match (side(a), side(b)) {
                _ if a == b => comparison.holds(0.0, 0.0),
                (Some(a), None) if graph.constant(b).is_none() => comparison.holds(a, 0.0),
                (None, Some(b)) if graph.constant(a).is_none() => comparison.holds(0.0, b),
                _ => return None,
            };
            made(&node.shape)?;
            let flags = Array::filled(node.shape.clone(), holds.into()).ok()?;
            Some((Op::Constant(flags), Vec::new(), "known: it compares with what nothing reaches"))
        }
        (Op::Arithmetic(Arithmetic::Select), &[condition, a, b]) => {
            let chosen = if all(condition, &|v| v != 0.0) {
                a
            } else {
                Some(b).filter(|_| all(condition, &|v| v == 0.0))?
            };
            Some((alone(chosen), vec![chosen], "removed: its condition is the same everywhere"))
        }
        // No other operation has limits.
        _ => None,
    }
}
