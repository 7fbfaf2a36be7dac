//! A ReLU before a max pool moves behind it, where there are fewer elements: the largest element's
//! ReLU is the largest ReLU.

use super::{PassReport, only_user};
use cryptflow_graph::operations::sees_elements;
use cryptflow_graph::{Activation, Graph, Node, NodeId, Op, Pool, Pooling};
use cryptflow_ring::Movement;

/// Turns `MaxPool(Relu(x))` into `Relu(MaxPool(x))`, for clipped ReLUs too, where the ReLU has no
/// other use and the pool makes fewer elements. Padding never wins, so this is exact. Several ReLUs that are
/// concatenated on the way, all alike, become one.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("ReLU after max pool");
    let uses = graph.uses();
    for i in 0..graph.nodes.len() {
        let pool = NodeId(i);
        let node = graph.node(pool);
        let Op::Pool(Pool { kind: Pooling::Max, window }) = &node.op else { continue };
        let relu = node.inputs[0];
        let before = graph.node(relu);
        let joined = joined(graph, relu);
        if joined.is_none() && !is_relu(&before.op) {
            continue;
        }
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        // A window of nothing but padding would make −∞ where there was one, and a zero behind the
        // ReLU.
        if elements(&node.shape) >= elements(&before.shape) || !sees_elements(window, &before.shape) {
            continue;
        }
        let inner = if joined.is_some() { before.inputs.as_slice() } else { &[] };
        if [relu].iter().chain(inner).any(|&id| only_user(graph, &uses, id).is_none()) {
            report.leave(&before.name, "stays before the max pool: its result has other uses");
            continue;
        }
        if let Some(function) = joined {
            become_one(graph, relu, function);
        }
        let (node, before) = (graph.node(pool), graph.node(relu));
        let x = before.inputs[0];
        let function = before.op.clone();
        report.changed(&before.name, format!("moved behind {}", node.name));
        let first = Node {
            name: format!("{}/before_activation", node.name),
            op: node.op.clone(),
            inputs: vec![x],
            shape: node.shape.clone(),
        };
        let first = graph.push(first);
        let node = &mut graph.nodes[i];
        node.op = function;
        node.inputs = vec![first];
    }
    graph.restore_order();
    report
}

fn is_relu(op: &Op) -> bool {
    matches!(op, Op::Activation(Activation::Relu | Activation::ClippedRelu { .. }))
}

/// The ReLU that all operands of a concatenation are, if a node is one of several that are alike.
fn joined(graph: &Graph, id: NodeId) -> Option<Op> {
    let node = graph.node(id);
    let Op::Movement(Movement::Concat { .. }) = &node.op else { return None };
    let first = &graph.node(*node.inputs.first()?).op;
    let alike = node.inputs.iter().all(|&input| graph.node(input).op == *first);
    (alike && is_relu(first)).then(|| first.clone())
}

/// The concatenation of ReLUs becomes the ReLU of a concatenation.
fn become_one(graph: &mut Graph, id: NodeId, function: Op) {
    let node = graph.node(id);
    let inputs = node.inputs.iter().map(|&relu| graph.node(relu).inputs[0]).collect();
    let name = format!("{}/before_activation", node.name);
    let first = Node { name, op: node.op.clone(), inputs, shape: node.shape.clone() };
    let first = graph.push(first);
    let node = &mut graph.nodes[id.0];
    node.op = function;
    node.inputs = vec![first];
}
