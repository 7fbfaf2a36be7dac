//! A ReLU before a max pool moves behind it, where there are fewer elements: the largest element's
//! ReLU is the largest ReLU.

use super::{PassReport, only_user};
use cryptflow_graph::operations::sees_elements;
use cryptflow_graph::{Activation, Graph, Node, NodeId, Op, Pool, Pooling};

/// Turns `MaxPool(Relu(x))` into `Relu(MaxPool(x))`, for clipped ReLUs too, where the ReLU has no
/// other use and the pool makes fewer elements. Padding never wins, so this is exact.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("ReLU after max pool");
    let uses = graph.uses();
    for i in 0..graph.nodes.len() {
        let pool = NodeId(i);
        let node = graph.node(pool);
        let Op::Pool(Pool { kind: Pooling::Max, window }) = &node.op else { continue };
        let relu = node.inputs[0];
        let before = graph.node(relu);
        if !matches!(before.op, Op::Activation(Activation::Relu | Activation::ClippedRelu { .. })) {
            continue;
        }
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        // A window of nothing but padding would make −∞ where there was one, and a zero behind the
        // ReLU.
        if elements(&node.shape) >= elements(&before.shape) || !sees_elements(window, &before.shape) {
            continue;
        }
        if only_user(graph, &uses, relu).is_none() {
            report.leave(&before.name, "stays before the max pool: its result has other uses");
            continue;
        }
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
