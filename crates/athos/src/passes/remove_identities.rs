//! Nodes that return their operand go away; movements that follow each other become one.

use cryptflow_ring::Movement;

use super::PassReport;
use cryptflow_graph::{Graph, NodeId, Op, Reduce, Reduction};

/// Removes identities and movements that move nothing, joins reshapes with reshapes and transposes
/// with transposes, and lets a mean or sum drop the axes itself that a reshape behind it drops.
/// Outputs keep their names.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("remove identities");
    for i in 0..graph.nodes.len() {
        let id = NodeId(i);
        if let Some(joined) = joined(graph, id) {
            report.changed(&graph.node(id).name, "joined with the movement before it");
            let before = graph.node(id).inputs[0];
            let operand = graph.node(before).inputs[0];
            let node = &mut graph.nodes[i];
            node.op = Op::Movement(joined);
            node.inputs = vec![operand];
        }
        if let Some(dropping) = drops_axes(graph, id) {
            let before = graph.node(id).inputs[0];
            report
                .changed(&graph.node(id).name, format!("{} drops its axes itself", graph.node(before).name));
            let inputs = graph.node(before).inputs.clone();
            let node = &mut graph.nodes[i];
            (node.op, node.inputs) = (dropping, inputs);
        }
        if moves_nothing(graph, id) {
            let node = graph.node(id);
            // An identity that nothing uses any more waits for the dead nodes to be removed.
            let operand = node.inputs[0];
            let name = node.name.clone();
            let used = graph.outputs.contains(&id) || graph.nodes.iter().any(|n| n.inputs.contains(&id));
            if used {
                report.changed(&name, "removed: it returns its operand");
                graph.redirect(id, operand);
            }
        }
    }
    report
}

fn moves_nothing(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let Some(&operand) = node.inputs.first() else { return false };
    let same = graph.node(operand).shape == node.shape;
    match &node.op {
        Op::Identity => true,
        Op::Movement(movement) => match movement {
            Movement::Reshape { .. } | Movement::Broadcast { .. } | Movement::Pad { .. } => same,
            Movement::Transpose { permutation } => permutation.is_sorted(),
            // A slice of an axis may go backwards, except where there is one element.
            Movement::Slice { stride, .. } => {
                same && stride.iter().zip(&node.shape).all(|(&s, &n)| s == 1 || n <= 1)
            }
            Movement::Concat { .. } => node.inputs.len() == 1,
            Movement::Gather { indices, .. } => same && indices.iter().copied().eq(0..indices.len()),
        },
        Op::Reduce(Reduce { axes, .. }) => same && axes.iter().all(|&a| node.shape[a] == 1),
        // Other operations compute.
        _ => false,
    }
}

/// The reduction that drops its axes, in place of one that keeps them and a reshape that drops
/// them.
fn drops_axes(graph: &Graph, id: NodeId) -> Option<Op> {
    let node = graph.node(id);
    let (Op::Movement(Movement::Reshape { shape }), &[before]) = (&node.op, node.inputs.as_slice()) else {
        return None;
    };
    let users = graph.nodes.iter().filter(|n| n.inputs.contains(&before)).count();
    if users != 1 || graph.outputs.contains(&before) {
        return None;
    }
    let reduction = graph.node(before);
    let Op::Reduce(Reduce { kind: kind @ (Reduction::Mean | Reduction::Sum), axes, keep_dims: true }) =
        &reduction.op
    else {
        return None;
    };
    let op = Op::Reduce(Reduce { kind: *kind, axes: axes.clone(), keep_dims: false });
    let kept = reduction.shape.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, n)| n);
    kept.eq(shape).then_some(op)
}

/// One movement in place of this one and the one before it.
fn joined(graph: &Graph, id: NodeId) -> Option<Movement> {
    let node = graph.node(id);
    let before = &graph.node(*node.inputs.first()?).op;
    match (before, &node.op) {
        (Op::Movement(Movement::Reshape { .. }), Op::Movement(Movement::Reshape { shape })) => {
            Some(Movement::Reshape { shape: shape.clone() })
        }
        (
            Op::Movement(Movement::Transpose { permutation: first }),
            Op::Movement(Movement::Transpose { permutation: second }),
        ) => Some(Movement::Transpose { permutation: second.iter().map(|&p| first[p]).collect() }),
        // No two others are one.
        _ => None,
    }
}
