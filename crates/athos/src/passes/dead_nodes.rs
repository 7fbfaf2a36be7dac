//! Nodes that no output needs go away.

use super::PassReport;
use cryptflow_graph::Graph;

/// Removes every node that no output depends on. Inputs stay: callers give a value for each of
/// them.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("remove dead nodes");
    let mut needed = graph.needed();
    for input in &graph.inputs {
        needed[input.0] = true;
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
