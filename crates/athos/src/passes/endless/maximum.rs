//! Maxima and max pools: they pass over what is hidden.

use std::collections::HashMap;

use cryptflow_graph::operations::{ENDLESS, sees_elements};
use cryptflow_graph::{Arithmetic, Array, Graph, NodeId, Op, Pool, Pooling, Reduce, Reduction};
use cryptflow_ring::Movement;

use super::split::{Split, Splitter};
use super::{Done, whole};

/// Takes what is hidden from a maximum out of it.
pub(super) fn without_hidden(graph: &mut Graph, id: NodeId) -> Option<Done> {
    match &graph.node(id).op {
        Op::Reduce(Reduce { kind: Reduction::Max, .. }) => maximum(graph, id),
        Op::Reduce(Reduce { kind: Reduction::Min, .. }) => minimum(graph, id),
        Op::Pool(Pool { kind: Pooling::Max, .. }) => max_pool(graph, id),
        // No other operation passes over what is far below.
        _ => None,
    }
}

/// The largest over axes, of the places that are not hidden.
fn maximum(graph: &mut Graph, id: NodeId) -> Option<Done> {
    let x = *graph.node(id).inputs.first()?;
    let split = Splitter::new(graph, id, ENDLESS).split(x, 1.0)?;
    let (seen, said) = match seen(graph, id, x, split)? {
        Ok(seen) => seen,
        Err(why) => return Some(Done::Left(why)),
    };
    graph.nodes[id.0].inputs = vec![seen];
    Some(Done::Changed(said))
}

/// The smallest: the negative of the largest of the negatives.
fn minimum(graph: &mut Graph, id: NodeId) -> Option<Done> {
    let node = graph.node(id);
    let (name, x) = (node.name.clone(), *node.inputs.first()?);
    let Op::Reduce(reduce) = node.op.clone() else { return None };
    let split = Splitter::new(graph, id, ENDLESS).split(x, -1.0)?;
    let (seen, said) = match seen(graph, id, x, split)? {
        Ok(seen) => seen,
        Err(why) => return Some(Done::Left(why)),
    };
    let largest = Reduce { kind: Reduction::Max, ..reduce };
    let largest = graph.add(format!("{name}/largest"), largest, &[seen]).ok()?;
    let zero = graph.add_constant(format!("{name}/zero"), Array::scalar(0.0));
    let node = &mut graph.nodes[id.0];
    (node.op, node.inputs) = (Op::Arithmetic(Arithmetic::Sub), vec![zero, largest]);
    Some(Done::Changed(said))
}

/// What a value is, with another of its places in place of each that is hidden, and what to say of it;
/// or why not.
type Seen = Result<(NodeId, &'static str), &'static str>;

/// The operand of a reduction to the largest, of the places that are not hidden: one of them stands for
/// those that are.
fn seen(graph: &mut Graph, id: NodeId, x: NodeId, split: Split) -> Option<Seen> {
    let shape = graph.node(x).shape.clone();
    let Op::Reduce(Reduce { axes, .. }) = &graph.node(id).op else { return None };
    let axes = axes.clone();
    let Split { clean, hidden, .. } = split;
    let clean = clean?;
    let name = graph.node(id).name.clone();
    let clean =
        graph.add(format!("{name}/whole"), Movement::Broadcast { shape: shape.clone() }, &[clean]).ok()?;
    if graph.constant(hidden).is_none() {
        return beside_the_least(graph, &name, clean, hidden, axes);
    }
    let flags = whole(graph, hidden, &shape)?;
    let mut steps = vec![0; shape.len()];
    let mut next = 1;
    for (axis, &n) in shape.iter().enumerate().rev().filter(|(axis, _)| !axes.contains(axis)) {
        steps[axis] = next;
        next *= n;
    }
    let group = |mut at: usize| {
        let mut group = 0;
        for (&n, step) in shape.iter().zip(&steps).rev() {
            group += at % n * step;
            at /= n;
        }
        group
    };
    let mut first = HashMap::new();
    for at in (0..flags.len()).filter(|&at| flags[at] == 0.0) {
        first.entry(group(at)).or_insert(at);
    }
    let stand = |at: usize| if flags[at] == 0.0 { Some(at) } else { first.get(&group(at)).copied() };
    let Some(indices) = (0..flags.len()).map(stand).collect::<Option<Vec<usize>>>() else {
        return Some(Err("all that it is the largest of is infinitely far below"));
    };
    let mut at = clean;
    let flat = vec![flags.len()];
    for (part, movement) in [
        ("flat", Movement::Reshape { shape: flat }),
        ("seen", Movement::Gather { axis: 0, indices }),
        ("back", Movement::Reshape { shape }),
    ] {
        at = graph.add(format!("{name}/{part}"), movement, &[at]).ok()?;
    }
    Some(Ok((at, "passes over hidden places")))
}

/// The same where it is secret which places are hidden: the least of all stands there, which is the
/// largest of none but itself.
fn beside_the_least(
    graph: &mut Graph,
    name: &str,
    clean: NodeId,
    hidden: NodeId,
    axes: Vec<usize>,
) -> Option<Seen> {
    let least = Reduce { kind: Reduction::Min, axes, keep_dims: true };
    let least = graph.add(format!("{name}/least"), least, &[clean]).ok()?;
    let seen = graph.add(format!("{name}/seen"), Arithmetic::Select, &[hidden, least, clean]).ok()?;
    Some(Ok((seen, "passes over hidden places; where all are hidden, it is the least of them")))
}

/// A max pool whose operand has an endless border: its own padding, which never wins.
fn max_pool(graph: &mut Graph, id: NodeId) -> Option<Done> {
    let x = *graph.node(id).inputs.first()?;
    let shape = graph.node(x).shape.clone();
    let Split { clean, hidden, .. } = Splitter::new(graph, id, ENDLESS).split(x, 1.0)?;
    let flags = whole(graph, hidden, &shape)?;
    const OTHER: Done = Done::Left("places beside its border are hidden from it");
    let Some((inside, padding)) = padded(graph, id, clean?) else { return Some(OTHER) };
    let Op::Pool(Pool { window, .. }) = &graph.node(id).op else { return None };
    let (before, after) = (&padding[0], &padding[1]);
    let (&[0, top, left, 0], &[0, bottom, right, 0]) = (before.as_slice(), after.as_slice()) else {
        return Some(OTHER);
    };
    let mut window = window.clone();
    for (own, new) in window.padding.iter_mut().zip([[top, bottom], [left, right]]) {
        own[0] += new[0];
        own[1] += new[1];
    }
    let operand = graph.node(inside).shape.clone();
    let ones = Array::filled(operand.clone(), 1.0).ok()?;
    let border = Op::Movement(Movement::Pad { before: before.clone(), after: after.clone() });
    let border = border.evaluate(&[&ones]).ok()?;
    let is_border =
        border.data.iter().zip(&flags).all(|(&inside, &hidden)| (inside == 0.0) == (hidden != 0.0));
    if border.shape != shape || !is_border {
        return Some(OTHER);
    }
    if !sees_elements(&window, &operand) {
        return Some(Done::Left("a window of it sees nothing but its border"));
    }
    let node = &mut graph.nodes[id.0];
    (node.op, node.inputs) = (Op::Pool(Pool { kind: Pooling::Max, window }), vec![inside]);
    Some(Done::Changed("its border never wins: it is its own padding"))
}

/// What a padding pads, and by how much before and after each axis. A transpose behind the padding
/// moves in front of it.
fn padded(graph: &mut Graph, id: NodeId, at: NodeId) -> Option<(NodeId, [Vec<usize>; 2])> {
    let node = graph.node(at);
    let &[operand] = node.inputs.as_slice() else { return None };
    match &node.op {
        Op::Identity => padded(graph, id, operand),
        Op::Movement(Movement::Pad { before, after }) => Some((operand, [before.clone(), after.clone()])),
        Op::Movement(Movement::Transpose { permutation }) => {
            let permutation = permutation.clone();
            let (x, padding) = padded(graph, id, operand)?;
            let padding = padding.map(|side| permutation.iter().map(|&p| side[p]).collect());
            let name = format!("{}/inside", graph.node(id).name);
            let x = graph.add(name, Movement::Transpose { permutation }, &[x]).ok()?;
            Some((x, padding))
        }
        // Nothing else is a padding.
        _ => None,
    }
}
