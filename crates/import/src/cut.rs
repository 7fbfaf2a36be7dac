//! What is left of a model's inputs where the options cut the graph.

use cryptflow_graph::Graph;

/// Takes away the inputs that no output needs any more, with all that follows from them alone: behind
/// a cut, shapes may be all that is asked of them. Those that the options name stay.
pub(crate) fn drop_unneeded_inputs(graph: &mut Graph, named: impl Fn(&str) -> bool) {
    let needed = graph.needed();
    let mut dropped = vec![false; graph.nodes.len()];
    for id in &graph.inputs {
        dropped[id.0] = !needed[id.0] && !named(&graph.node(*id).name);
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        dropped[index] |= node.inputs.iter().any(|id| dropped[id.0]);
    }
    graph.inputs.retain(|id| !dropped[id.0]);
    let kept: Vec<usize> = (0..dropped.len()).filter(|&i| !dropped[i]).collect();
    graph.keep(&kept);
}
