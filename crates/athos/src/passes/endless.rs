//! Constants that stand for infinity ([`ENDLESS`](cryptflow_graph::operations::ENDLESS)), which fixed
//! point does not have: limits that cut nothing go away, and what lies infinitely far below gets no
//! weight, in the softmax or the maximum that it is hidden from.

mod limits;
mod maximum;
mod softmax;
mod split;

use cryptflow_graph::{Graph, NodeId};
use cryptflow_ring::Movement;

use super::PassReport;

/// No mask has more elements.
const MAX_ELEMENTS: usize = 1 << 28;

/// Drops limits that cut nothing and comparisons that are known; and turns softmaxes, maxima and max
/// pools of values of which places are hidden by endless constants into those of the other places.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("endless constants");
    for i in 0..graph.nodes.len() {
        let id = NodeId(i);
        if let Some((op, inputs, what)) = limits::without(graph, id) {
            report.changed(&graph.node(id).name, what);
            let node = &mut graph.nodes[i];
            (node.op, node.inputs) = (op, inputs);
        }
    }
    // The maximum in a softmax that is written out is a part of it.
    for look in [softmax::without_hidden, maximum::without_hidden] {
        for i in 0..graph.nodes.len() {
            let id = NodeId(i);
            let name = graph.node(id).name.clone();
            match look(graph, id) {
                Some(Done::Changed(what)) => report.changed(&name, what),
                Some(Done::Left(why)) => report.leave(&name, why),
                None => {}
            }
        }
    }
    graph.restore_order();
    report
}

/// The number of elements of a shape, where it is not too large to be made.
fn made(shape: &[usize]) -> Option<usize> {
    cryptflow_ring::movement::elements(shape).ok().filter(|&n| n <= MAX_ELEMENTS)
}

/// What became of a node, and what to say of it.
enum Done {
    Changed(&'static str),
    Left(&'static str),
}

/// The elements of a constant in this shape.
fn whole(graph: &Graph, constant: NodeId, shape: &[usize]) -> Option<Vec<f32>> {
    made(shape)?;
    let constant = graph.constant(constant)?;
    Movement::Broadcast { shape: shape.to_vec() }.apply(&[(&constant.shape, &constant.data)]).ok()
}
