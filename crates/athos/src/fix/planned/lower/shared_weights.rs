//! Weights that are used at many steps (of an unrolled loop, say) are one weight where what they are
//! multiplied with has the same fractional bits: so it gets them, where they are few beside the weight.

use std::collections::BTreeMap;

use cryptflow_graph::{Graph, NodeId, Op};

use super::super::contents::Contents;

/// Bits by which a value's may grow for it.
const MOST: i32 = 16;

/// What a fractional bit more costs an element, in elements of a weight that is there once more.
const COST: usize = 1;

/// Gives the operands of one weight the same bits beyond those of activations, those of the most
/// precise of them, as far as all have room (`fits`).
pub(super) fn align(graph: &Graph, extra: &mut [i32], fits: &dyn Fn(usize) -> i32) {
    for (elements, operands) in operands_of_weights(graph) {
        let Some(room) = operands.iter().map(|&node| fits(node)).min() else { continue };
        let finest = operands.iter().map(|&node| extra[node]).max().unwrap_or(0).min(room);
        let rises = |node: &&usize| (1..=MOST).contains(&(finest - extra[**node]));
        let cost = |&node: &usize| {
            let elements: usize = graph.nodes[node].shape.iter().product();
            elements.saturating_mul((finest - extra[node]).unsigned_abs() as usize)
        };
        let rising: Vec<usize> = operands.iter().filter(rises).copied().collect();
        let all = rising.iter().map(cost).fold(0usize, usize::saturating_add);
        if all.saturating_mul(COST) <= elements.saturating_mul(rising.len()) {
            rising.into_iter().for_each(|node| extra[node] = finest);
        }
    }
}

/// For each weight that several values are multiplied with its elements, and the nodes that make these
/// values.
fn operands_of_weights(graph: &Graph) -> Vec<(usize, Vec<usize>)> {
    let mut contents = Contents::default();
    let mut operands: BTreeMap<usize, (usize, Vec<usize>)> = BTreeMap::new();
    for node in graph.nodes.iter().filter(|node| matches!(node.op, Op::Linear(_))) {
        let [Some(&a), Some(&b)] = [0, 1].map(|i| node.inputs.get(i)) else { continue };
        let (x, weight) = match (graph.constant(a), graph.constant(b)) {
            (None, Some(weight)) => (a, weight),
            (Some(weight), None) => (b, weight),
            (None, None) | (Some(_), Some(_)) => continue,
        };
        let kept = contents.keep(weight.data.clone());
        let (_, makers) = operands.entry(kept.id).or_insert((weight.data.len(), Vec::new()));
        let maker = maker(graph, x).0;
        if !makers.contains(&maker) {
            makers.push(maker);
        }
    }
    operands.into_values().filter(|(_, makers)| makers.len() > 1).collect()
}

/// The node that gives a value its precision: what only moves elements hands it on.
fn maker(graph: &Graph, mut id: NodeId) -> NodeId {
    loop {
        let node = graph.node(id);
        match (&node.op, node.inputs.as_slice()) {
            (Op::Movement(_) | Op::Identity, &[from]) => id = from,
            // Everything else has a precision of its own.
            _ => return id,
        }
    }
}
