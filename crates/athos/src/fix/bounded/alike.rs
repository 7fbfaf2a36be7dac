//! Steps of an unrolled loop are alike: what one of them takes, the others may take. Where examples led them
//! to almost the same ranges, they get the same one, so that a function is tabulated once for all of them.

use std::collections::BTreeMap;

use cryptflow_graph::unrolled::at_every_step;
use cryptflow_graph::{Graph, Op, Range};

/// Gives what every step computes the range of all steps, where that takes less than a bit.
pub(super) fn align(graph: &Graph, ranges: &mut [Range]) {
    for nodes in at_every_step(graph) {
        let mut sizes: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for node in nodes.into_iter().filter(|&node| !matches!(graph.node(node).op, Op::Constant(_))) {
            let magnitude = ranges[node.0].magnitude();
            // Nothing has a size of its own.
            let size = if magnitude > 0.0 { magnitude.log2().ceil() as i64 } else { i64::MIN };
            sizes.entry(size).or_default().push(node.0);
        }
        for nodes in sizes.into_values() {
            let all = nodes.iter().map(|&node| ranges[node]).fold(Range::EMPTY, Range::union);
            nodes.into_iter().for_each(|node| ranges[node] = all);
        }
    }
}
