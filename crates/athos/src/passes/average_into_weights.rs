//! The division of an average moves into the weights of the layers behind it: what is left is a
//! sum, which costs nothing.

use std::collections::BTreeSet;

use cryptflow_ring::Movement;

use super::PassReport;
use super::affine::Layer;
use cryptflow_graph::operations::uniform_count;
use cryptflow_graph::{Activation, Array, Graph, Linear, NodeId, Op, Pool, Pooling, Reduce, Reduction};

/// Turns an average pool or a mean into a sum, and multiplies the weights of the next linear layers
/// by 1/n instead. In between, the factor passes whatever commutes with a positive factor: ReLU,
/// movements, pools, sums, and a concatenation all of whose operands are averages of as many
/// elements. Where it would reach an output or anything else, or where windows see different
/// numbers of elements, the average stays.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("averages into weights");
    for i in 0..graph.nodes.len() {
        let id = NodeId(i);
        let name = graph.node(id).name.clone();
        let count = match count(graph, id) {
            Count::None => continue,
            Count::Varying => {
                report.leave(
                    &name,
                    "divides: its windows see different numbers of elements (padding does not count)",
                );
                continue;
            }
            Count::Of(count) => count,
        };
        match region(graph, id, count) {
            Ok(region) => {
                report.changed(&name, format!("division by {count} moved into {}", region.describe(graph)));
                region.apply(graph, count);
            }
            Err(reason) => report.leave(&name, format!("divides: {reason}")),
        }
    }
    graph.restore_order();
    report
}

/// How many elements each element of an average is divided by.
enum Count {
    /// No average, or one of single elements.
    None,
    /// Not always as many.
    Varying,
    /// Always so many.
    Of(usize),
}

fn count(graph: &Graph, id: NodeId) -> Count {
    let node = graph.node(id);
    let Some(x) = node.inputs.first().map(|&x| &graph.node(x).shape) else { return Count::None };
    match &node.op {
        Op::Pool(Pool { kind: Pooling::Average { count_padding: true }, window }) => {
            Count::Of(window.kernel[0] * window.kernel[1])
        }
        Op::Pool(Pool { kind: Pooling::Average { .. }, window }) => {
            uniform_count(window, x).map_or(Count::Varying, Count::Of)
        }
        Op::Reduce(Reduce { kind: Reduction::Mean, axes, .. }) => {
            Count::Of(axes.iter().map(|&a| x[a]).product())
        }
        // No other operation divides by a number of elements.
        _ => Count::None,
    }
}

/// The nodes that a factor passes on its way into weights.
#[derive(Default)]
struct Region {
    /// The averages that it comes from.
    sources: BTreeSet<NodeId>,
    /// The linear layers that take it up.
    layers: BTreeSet<NodeId>,
}

/// Follows a factor from an average to the layers that take it up; or why there is no way.
fn region(graph: &Graph, start: NodeId, n: usize) -> Result<Region, String> {
    let uses = graph.uses();
    let mut region = Region { sources: BTreeSet::from([start]), ..Region::default() };
    let mut reached = BTreeSet::from([start]);
    let mut concatenations = BTreeSet::new();
    let mut work = vec![start];
    while let Some(id) = work.pop() {
        let name = &graph.node(id).name;
        if graph.outputs.contains(&id) {
            return Err(format!("{name} is an output, with no layer before it to take the factor up"));
        }
        for &user in &uses[id.0] {
            let node = graph.node(user);
            // It would carry the factor twice.
            if region.sources.contains(&user) {
                return Err(format!("{} behind it brings the same factor again", node.name));
            }
            match passing(graph, id, user)? {
                Passing::Takes => {
                    region.layers.insert(user);
                }
                Passing::On => {
                    if matches!(node.op, Op::Movement(Movement::Concat { .. })) {
                        concatenations.insert(user);
                    }
                    if reached.insert(user) {
                        work.push(user);
                    }
                }
            }
        }
        if work.is_empty() {
            let beside = beside(graph, &concatenations, &reached, n)?;
            reached.extend(&beside);
            region.sources.extend(&beside);
            work = beside;
        }
    }
    if region.layers.is_empty() {
        return Err("nothing behind it takes the factor up".into());
    }
    Ok(region)
}

/// The averages that concatenations put beside what was reached: their other operands, all of which
/// must bring the same factor.
fn beside(
    graph: &Graph,
    concatenations: &BTreeSet<NodeId>,
    reached: &BTreeSet<NodeId>,
    n: usize,
) -> Result<Vec<NodeId>, String> {
    let mut beside = Vec::new();
    for node in concatenations.iter().map(|&c| graph.node(c)) {
        for &operand in &node.inputs {
            if reached.contains(&operand) || beside.contains(&operand) {
                continue;
            }
            if !matches!(count(graph, operand), Count::Of(m) if m == n) {
                let other = &graph.node(operand).name;
                return Err(format!("{} puts it beside {other}, which has not the same factor", node.name));
            }
            beside.push(operand);
        }
    }
    Ok(beside)
}

/// What a node does with a factor that an operand of it carries.
enum Passing {
    /// Its weights take it up.
    Takes,
    /// Its result carries it.
    On,
}

/// What `user` does with the factor of `id`, or why it stops it.
fn passing(graph: &Graph, id: NodeId, user: NodeId) -> Result<Passing, String> {
    let node = graph.node(user);
    match &node.op {
        Op::Linear(Linear::Conv2d { .. } | Linear::MatMul { .. }) => {
            if Layer::of(graph, user).is_none_or(|layer| layer.x != id) {
                return Err(format!("{} has no constant weights to take the factor up", node.name));
            }
            Ok(Passing::Takes)
        }
        Op::Linear(Linear::Scale) if node.inputs[0] == id && graph.constant(node.inputs[1]).is_some() => {
            Ok(Passing::Takes)
        }
        Op::Activation(Activation::Relu)
        | Op::Identity
        | Op::Pool(_)
        | Op::Reduce(Reduce { kind: Reduction::Mean | Reduction::Sum, .. })
        | Op::Movement(_) => Ok(Passing::On),
        // Of what is not listed it is not known: the average stays.
        _ => Err(format!("{} ({}) does not pass the factor on", node.name, node.op.name())),
    }
}

impl Region {
    fn describe(&self, graph: &Graph) -> String {
        let names: Vec<&str> = self.layers.iter().map(|&l| graph.node(l).name.as_str()).collect();
        names.join(", ")
    }

    fn apply(&self, graph: &mut Graph, n: usize) {
        let factor = 1.0 / n as f32;
        for &id in &self.layers {
            let weights = graph.node(id).inputs[1];
            let name = graph.node(weights).name.clone();
            let scaled = match Layer::of(graph, id) {
                Some(layer) => layer.scaled(factor),
                None => match graph.constant(weights) {
                    Some(w) => Array::vector(w.data.iter().map(|w| w * factor).collect()),
                    None => continue,
                },
            };
            let weights = graph.add_constant(name, scaled);
            graph.nodes[id.0].inputs[1] = weights;
        }
        for &id in &self.sources {
            let node = &mut graph.nodes[id.0];
            node.op = match &node.op {
                Op::Pool(Pool { kind: Pooling::Average { .. }, window }) => {
                    Op::Pool(Pool { kind: Pooling::Sum, window: window.clone() })
                }
                Op::Reduce(Reduce { kind: Reduction::Mean, axes, keep_dims }) => {
                    Op::Reduce(Reduce { kind: Reduction::Sum, axes: axes.clone(), keep_dims: *keep_dims })
                }
                other => other.clone(),
            };
        }
    }
}
