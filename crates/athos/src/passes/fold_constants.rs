//! Operations on constants alone become constants.

use super::PassReport;
use cryptflow_graph::{Array, Graph, NodeId, Op};

/// Larger results than this (a broadcast, say) are left to be computed.
const MAX_ELEMENTS: usize = 1 << 28;

/// Evaluates every node all of whose operands are constants.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("fold constants");
    for i in 0..graph.nodes.len() {
        let node = graph.node(NodeId(i));
        let elements = cryptflow_ring::movement::elements(&node.shape);
        if node.inputs.is_empty() || elements.map_or(true, |n| n > MAX_ELEMENTS) {
            continue;
        }
        let operands: Option<Vec<&Array>> = node.inputs.iter().map(|&i| graph.constant(i)).collect();
        let Some(Ok(value)) = operands.map(|operands| node.op.evaluate(&operands)) else { continue };
        let node = &mut graph.nodes[i];
        report.changed(&node.name, format!("{} of constants", node.op.name()));
        node.op = Op::Constant(value);
        node.inputs.clear();
    }
    report
}
