//! Loops that were unrolled: which nodes compute the same at different steps.

use std::collections::{BTreeMap, HashSet};

use crate::graph::{Graph, NodeId};

/// For every part of every unrolled loop the nodes that compute it, step by step; a part that one step alone
/// has is left out.
pub fn at_every_step(graph: &Graph) -> Vec<Vec<NodeId>> {
    let loops: HashSet<&str> = graph.loops.iter().map(String::as_str).collect();
    if loops.is_empty() {
        return Vec::new();
    }
    let mut parts: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if let Some(part) = without_steps(&node.name, &loops) {
            parts.entry(part).or_default().push(NodeId(index));
        }
    }
    parts.into_values().filter(|nodes| nodes.len() > 1).collect()
}

/// A name with nothing in the place of the steps; none where it is not that of a part of a loop.
fn without_steps(name: &str, loops: &HashSet<&str>) -> Option<String> {
    let mut part = String::with_capacity(name.len());
    let mut within = false;
    let mut end = 0;
    for component in name.split('/') {
        let is_step = !component.is_empty() && component.bytes().all(|b| b.is_ascii_digit());
        if is_step && end > 0 && name.get(..end - 1).is_some_and(|before| loops.contains(before)) {
            within = true;
        } else {
            part.push_str(component);
        }
        part.push('/');
        end += component.len() + 1;
    }
    within.then_some(part)
}
