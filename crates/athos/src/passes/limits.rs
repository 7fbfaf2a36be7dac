//! Limits beside each other: a clip behind a ReLU, as quantised models have them, becomes one clip, and limits
//! that cut nothing go away.

use std::collections::BTreeSet;

use super::{PassReport, only_user};
use cryptflow_graph::ranges::images;
use cryptflow_graph::{Activation, Arithmetic, Array, Graph, Node, NodeId, Op, Range};

/// Numbers of a value that are cut off at one end, or at both: a ReLU, a clipped one, a minimum or a maximum
/// with one number, or `low + min(max(x − low, 0), limit)`, which is one step of a protocol.
struct Limits {
    x: NodeId,
    /// Infinite where an end is missing.
    ends: Range,
    /// The nodes that it is written in, without the last one.
    inside: Vec<NodeId>,
}

/// Turns limits on limited values into one, where the inner ones have no other use; drops those that what comes
/// before never reaches; and leaves of a clip that is only ever reached above a minimum.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("limits");
    let (images, uses) = (images(graph), graph.uses());
    // Backwards, so that the whole of a clip is seen before its parts.
    let mut seen = BTreeSet::new();
    for i in (0..images.len()).rev() {
        let id = NodeId(i);
        let Some(outer) = Limits::of(graph, id).filter(|_| !seen.contains(&id)) else { continue };
        seen.extend(&outer.inside);
        let before = images.get(outer.x.0).copied().unwrap_or(Range::ALL);
        if outer.ends.low <= before.low && before.high <= outer.ends.high {
            report.changed(&graph.node(id).name, "removed: nothing reaches its limits");
            let node = &mut graph.nodes[i];
            (node.op, node.inputs) = (Op::Identity, vec![outer.x]);
            continue;
        }
        let alone = |id: &NodeId| id.0 < uses.len() && only_user(graph, &uses, *id).is_some();
        let inner = Limits::of(graph, outer.x);
        let inner = inner.filter(|inner| alone(&outer.x) && inner.inside.iter().all(alone));
        if let Some(Limits { x, ends, inside }) = inner {
            let within = |v: f64| v.clamp(outer.ends.low, outer.ends.high);
            let ends = Range { low: within(ends.low), high: within(ends.high) };
            if ends.low < ends.high {
                let first = graph.node(outer.x).name.clone();
                report.changed(&graph.node(id).name, format!("joined with {first}"));
                become_limits(graph, id, x, ends);
                // Nothing uses it now.
                seen.extend(inside.into_iter().chain([outer.x]));
            }
        } else if outer.ends.low <= before.low && outer.ends.low.is_finite() && outer.ends.high.is_finite() {
            report.changed(&graph.node(id).name, "a minimum: nothing reaches its lower limit");
            become_limits(graph, id, outer.x, Range { low: f64::NEG_INFINITY, ..outer.ends });
        }
    }
    graph.restore_order();
    report
}

impl Limits {
    /// The limits that end in a node.
    fn of(graph: &Graph, id: NodeId) -> Option<Limits> {
        let node = graph.node(id);
        let limits = |x, low: f64, high: f64| {
            Some(Limits { x, ends: Range { low, high }, inside: Vec::new() })
                .filter(|limits| graph.node(limits.x).shape == node.shape && low < high)
        };
        // The operand beside a number, and that number.
        let with_number = |a, b| match (number(graph, a), number(graph, b)) {
            (None, Some(number)) => Some((a, number)),
            (Some(number), None) => Some((b, number)),
            _ => None,
        };
        match (&node.op, node.inputs.as_slice()) {
            (Op::Activation(Activation::Relu), &[x]) => limits(x, 0.0, f64::INFINITY),
            (Op::Activation(Activation::ClippedRelu { limit }), &[x]) => limits(x, 0.0, (*limit).into()),
            (Op::Arithmetic(Arithmetic::Maximum), &[a, b]) => {
                let (x, low) = with_number(a, b)?;
                limits(x, low, f64::INFINITY)
            }
            (Op::Arithmetic(Arithmetic::Minimum), &[a, b]) => {
                let (x, high) = with_number(a, b)?;
                limits(x, f64::NEG_INFINITY, high)
            }
            (Op::Arithmetic(Arithmetic::Add), &[a, b]) => {
                let (cut, low) = with_number(a, b)?;
                let Op::Activation(Activation::ClippedRelu { limit }) = &graph.node(cut).op else {
                    return None;
                };
                let &[above] = graph.node(cut).inputs.as_slice() else { return None };
                let difference = graph.node(above);
                let &[x, offset] = difference.inputs.as_slice() else { return None };
                let same = difference.op == Op::Arithmetic(Arithmetic::Sub)
                    && number(graph, offset) == Some(low)
                    && graph.node(cut).shape == node.shape;
                let found = limits(x, low, low + f64::from(*limit))?;
                same.then_some(Limits { inside: vec![cut, above], ..found })
            }
            // Nothing else is a limit.
            _ => None,
        }
    }
}

/// The finite number that a constant is, everywhere.
fn number(graph: &Graph, id: NodeId) -> Option<f64> {
    let data = &graph.constant(id)?.data;
    let first = data.first().copied().filter(|first| data.iter().all(|v| v == first));
    first.filter(|number| number.is_finite()).map(f64::from)
}

/// A node becomes a value within limits, as few as there are.
fn become_limits(graph: &mut Graph, id: NodeId, x: NodeId, ends: Range) {
    let (name, shape) = (graph.node(id).name.clone(), graph.node(id).shape.clone());
    let (low, high) = (ends.low as f32, ends.high as f32);
    let limit = (ends.high - ends.low) as f32;
    let (op, inputs): (Op, Vec<NodeId>) = match (ends.low.is_finite(), ends.high.is_finite()) {
        (false, false) => (Op::Identity, vec![x]),
        (true, false) if low == 0.0 => (Activation::Relu.into(), vec![x]),
        (true, true) if low == 0.0 => (Activation::ClippedRelu { limit }.into(), vec![x]),
        (true, false) => {
            let low = graph.add_constant(format!("{name}/low"), Array::scalar(low));
            (Arithmetic::Maximum.into(), vec![x, low])
        }
        (false, true) => {
            let high = graph.add_constant(format!("{name}/high"), Array::scalar(high));
            (Arithmetic::Minimum.into(), vec![x, high])
        }
        (true, true) => {
            let low = graph.add_constant(format!("{name}/low"), Array::scalar(low));
            let part = |part: &str, op: Op, inputs: Vec<NodeId>| Node {
                name: format!("{name}/{part}"),
                op,
                inputs,
                shape: shape.clone(),
            };
            let above = graph.push(part("above", Arithmetic::Sub.into(), vec![x, low]));
            let cut = graph.push(part("cut", Activation::ClippedRelu { limit }.into(), vec![above]));
            (Arithmetic::Add.into(), vec![cut, low])
        }
    };
    let node = &mut graph.nodes[id.0];
    (node.op, node.inputs) = (op, inputs);
}
