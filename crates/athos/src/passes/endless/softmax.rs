//! Softmaxes, also such as are written out: what is hidden gets no weight.

use cryptflow_graph::operations::{ENDLESS, broadcast};
use cryptflow_graph::{
    Activation, Arithmetic, Array, Comparison, Function, Graph, NodeId, Op, Reduce, Reduction,
};
use cryptflow_ring::Movement;

use super::split::{HIDING, Split, Splitter};
use super::{Done, whole};

/// The most operations that are looked at to know what a mask holds.
const MOST_LOOKED_AT: usize = 64;

/// Takes what is hidden from a softmax out of it.
pub(super) fn without_hidden(graph: &mut Graph, id: NodeId) -> Option<Done> {
    let x = match &graph.node(id).op {
        Op::Activation(Activation::Softmax) => *graph.node(id).inputs.first()?,
        Op::Arithmetic(Arithmetic::Div) => written_out(graph, id)?,
        // No other operation is one, or the last of one.
        _ => return None,
    };
    softmax(graph, id, x)
}

/// Softmax of `x`, which has hidden places, as the node.
fn softmax(graph: &mut Graph, id: NodeId, x: NodeId) -> Option<Done> {
    let endless = Splitter::new(graph, id, ENDLESS).split(x, 1.0);
    let split = match endless {
        Some(split) => split,
        None => Splitter::new(graph, id, HIDING).split(x, 1.0)?,
    };
    let Split { clean, hidden, infinite } = split;
    let name = graph.node(id).name.clone();
    let clean = clean.unwrap_or_else(|| graph.add_constant(format!("{name}/nothing"), Array::scalar(0.0)));
    let op = Op::Activation(Activation::MaskedSoftmax);
    let shape = graph.node(id).shape.clone();
    if graph.constant(hidden).is_none() {
        // Its shape must be the node's: a mask may have broadcast the values.
        let own = broadcast(&graph.node(clean).shape, &graph.node(hidden).shape)?;
        if own != shape {
            return None;
        }
        // Beside a number that is large, the rest of a row that is hidden as a whole is lost in floats: all weights
        // are the same. Infinity leaves nothing.
        let (op, inputs) = match infinite {
            false => evened_out(graph, id, clean, hidden)?,
            true => (op, vec![clean, hidden]),
        };
        let node = &mut graph.nodes[id.0];
        (node.op, node.inputs) = (op, inputs);
        return Some(Done::Changed("hidden places have no weight"));
    }
    let flags = whole(graph, hidden, &shape)?;
    let n = shape.last().copied().filter(|&n| n > 0)?;
    let empty: Vec<bool> = flags.chunks(n).map(|row| row.iter().all(|&h| h != 0.0)).collect();
    if !empty.contains(&true) {
        let hidden = graph.add_constant(format!("{name}/hidden"), Array::new(shape, flags).ok()?);
        let node = &mut graph.nodes[id.0];
        (node.op, node.inputs) = (op, vec![clean, hidden]);
        return Some(Done::Changed("hidden places have no weight"));
    }
    // Beside a huge number all are the same; infinity leaves nothing.
    let weight = if infinite { 0.0 } else { 1.0 / n as f32 };
    let seen =
        flags.chunks(n).zip(&empty).flat_map(|(row, &e)| row.iter().map(move |&h| if e { 0.0 } else { h }));
    let seen = Array::new(shape.clone(), seen.collect()).ok()?;
    let hidden = graph.add_constant(format!("{name}/hidden"), seen);
    let kept = graph.add(format!("{name}/kept"), op, &[clean, hidden]).ok()?;
    let mut rows = shape;
    *rows.last_mut()? = 1;
    let rows = Array::new(rows, empty.iter().map(|&e| e.into()).collect()).ok()?;
    let rows = graph.add_constant(format!("{name}/all_hidden"), rows);
    let even = graph.add_constant(format!("{name}/even"), Array::scalar(weight));
    let node = &mut graph.nodes[id.0];
    (node.op, node.inputs) = (Op::Arithmetic(Arithmetic::Select), vec![rows, even, kept]);
    Some(Done::Changed("hidden places have no weight"))
}

/// The softmax of what is not hidden, with the same weight everywhere in a row that is hidden as a whole. The last
/// operation, and its operands.
fn evened_out(graph: &mut Graph, id: NodeId, clean: NodeId, hidden: NodeId) -> Option<(Op, Vec<NodeId>)> {
    let (name, shape) = (graph.node(id).name.clone(), graph.node(id).shape.clone());
    let n = *shape.last()?;
    let even = graph.add_constant(format!("{name}/even"), Array::scalar(1.0 / n as f32));
    let kept = graph.add(format!("{name}/kept"), Activation::MaskedSoftmax, &[clean, hidden]).ok()?;
    // Where places are hidden by flags, a mask of few rows says it, while scores are still computed; else the
    // weights of such a row, which add up to nothing.
    let by_flags = !graph.node(hidden).shape.is_empty() && are_flags(graph, hidden);
    let counted = if by_flags { hidden } else { kept };
    let (&columns, rows) = graph.node(counted).shape.split_last()?;
    let sum = Reduce { kind: Reduction::Sum, axes: vec![rows.len()], keep_dims: true };
    let limit = if by_flags { columns as f32 - 0.5 } else { 0.5 };
    let limit = graph.add_constant(format!("{name}/limit"), Array::scalar(limit));
    let mut add =
        |part: &str, op: Op, inputs: &[NodeId]| graph.add(format!("{name}/{part}"), op, inputs).ok();
    let sum = add("counted", Op::Reduce(sum), &[counted])?;
    let sides = if by_flags { [sum, limit] } else { [limit, sum] };
    let none = add("all_hidden", Op::Arithmetic(Arithmetic::Compare(Comparison::Greater)), &sides)?;
    let rest = add("rest", Op::Arithmetic(Arithmetic::Mul), &[none, even])?;
    Some((Op::Arithmetic(Arithmetic::Add), vec![kept, rest]))
}

/// Whether what is not zero where a place is hidden is one there: no sum of several flags.
fn are_flags(graph: &Graph, hidden: NodeId) -> bool {
    let mut open = vec![hidden];
    for _ in 0..MOST_LOOKED_AT {
        let Some(id) = open.pop() else { return true };
        let node = graph.node(id);
        let flags = match &node.op {
            Op::Arithmetic(Arithmetic::Add) => false,
            Op::Identity | Op::Movement(_) | Op::Arithmetic(Arithmetic::Select) => {
                open.extend(&node.inputs);
                true
            }
            Op::Constant(array) => array.data.iter().all(|&v| v == 0.0 || v == 1.0),
            // What hides by being multiplied with a huge number, or by being a condition, is a flag.
            Op::Input | Op::Linear(_) | Op::Arithmetic(_) | Op::Function(_) | Op::Activation(_) => true,
            Op::Pool(_) | Op::Reduce(_) | Op::Order(_) => true,
        };
        if !flags {
            return false;
        }
    }
    false
}

/// The operand of a softmax along the last axis that is written out, with the division as its last
/// operation: `e / sum(e)` with `e = exp(x − max(x))`.
fn written_out(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let &[terms, sum] = graph.node(id).inputs.as_slice() else { return None };
    let last = graph.node(id).shape.len().checked_sub(1)?;
    // Axes that a reduction has dropped come back by a reshape.
    let along = |mut at: NodeId, kind: Reduction| loop {
        let node = graph.node(at);
        match &node.op {
            Op::Identity | Op::Movement(Movement::Broadcast { .. }) => at = *node.inputs.first()?,
            Op::Movement(Movement::Reshape { .. }) if node.shape.get(last) == Some(&1) => {
                at = *node.inputs.first()?;
            }
            Op::Reduce(reduce) if reduce.kind == kind && reduce.axes == [last] => {
                return node.inputs.first().copied();
            }
            // Anything else is no reduction.
            _ => return None,
        }
    };
    if along(sum, Reduction::Sum)? != terms {
        return None;
    }
    let (Op::Function(function), &[below]) = (&graph.node(terms).op, graph.node(terms).inputs.as_slice())
    else {
        return None;
    };
    let (Op::Arithmetic(Arithmetic::Sub), &[x, largest]) =
        (&graph.node(below).op, graph.node(below).inputs.as_slice())
    else {
        return None;
    };
    (*function == Function::EXP && along(largest, Reduction::Max)? == x).then_some(x)
}
