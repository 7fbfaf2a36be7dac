//! Nodes that no output needs go away.

use super::PassReport;
use cryptflow_graph::{Graph, NodeId};

/// Removes every node that no output depends on. Inputs stay: callers give a value for each of
/// them.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("remove dead nodes");
    let mut needed = vec![false; graph.nodes.len()];
    let mut stack: Vec<NodeId> = graph.outputs.iter().chain(&graph.inputs).copied().collect();
    while let Some(id) = stack.pop() {
        if !std::mem::replace(&mut needed[id.0], true) {
            stack.extend(&graph.node(id).inputs);
        }
    }
    let (kept, dead): (Vec<usize>, Vec<usize>) = (0..needed.len()).partition(|&i| needed[i]);
    for &i in &dead {
        report.changed(&graph.nodes[i].name, "removed: no output needs it");
    }
    if !dead.is_empty() {
        graph.keep(&kept);
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptflow_graph::{Activation, Arithmetic, Array};

    #[test]
    fn what_no_output_needs_goes() {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![2]);
        let unused = g.add_input("unused", vec![2]);
        let a = g.add_constant("a", Array::scalar(1.0));
        let b = g.add("b", Arithmetic::Add, &[unused, a]).unwrap();
        g.add("c", Activation::Relu, &[b]).unwrap();
        let y = g.add("y", Activation::Relu, &[x]).unwrap();
        g.add_output("y", y);
        let report = run(&mut g);
        assert_eq!(report.changes.iter().map(|c| c.node.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(g.nodes.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(), ["x", "unused", "y"]);
        assert_eq!((g.inputs, g.outputs), (vec![NodeId(0), NodeId(1)], vec![NodeId(2)]));
    }
}
