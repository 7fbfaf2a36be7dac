//! Activations that are written out in smaller operations (a GELU of products and an error
//! function, a swish of a product and a sigmoid, a sigmoid of an exponential) become one
//! function, so that one approximation serves.
//!
//! There are many ways to write one function down, so they are not told apart by their form:
//! whatever element-by-element operations and single numbers lie between a node and one operand is
//! evaluated at many points, and compared with the functions that are known.

use std::collections::BTreeSet;

use super::PassReport;
use cryptflow_graph::operations::catalogue;
use cryptflow_graph::{Activation, Arithmetic, Array, Function, Graph, NodeId, Op};

/// The most operations that one function is written in.
const MOST_OPERATIONS: usize = 12;

/// Points from −8 to 8 at which functions are compared.
const POINTS: usize = 129;

/// The largest difference: of roundings in single precision, and less than what the two forms of
/// GELU differ by.
const TOLERANCE: f32 = 3e-5;

/// Replaces functions that are written out.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("recognise functions");
    let points: Vec<f32> = (0..POINTS).map(|i| -8.0 + 16.0 * i as f32 / (POINTS - 1) as f32).collect();
    // Backwards, so that the whole of a function is seen before its parts.
    for index in (0..graph.nodes.len()).rev() {
        let id = NodeId(index);
        let last = match &graph.node(id).op {
            Op::Arithmetic(Arithmetic::Mul | Arithmetic::Div) => true,
            Op::Function(function) => [Function::LOG, Function::RECIPROCAL].contains(function),
            // No function that is looked for ends in another operation.
            _ => false,
        };
        if !last {
            continue;
        }
        let Some((x, function, operations)) = found(graph, id, &points) else { continue };
        // What was a part of a function that was found already is in use no more.
        if !graph.needed()[index] {
            continue;
        }
        let node = &mut graph.nodes[index];
        report.changed(&node.name, format!("{operations} operations are {}", function.name()));
        node.op = Op::Function(function);
        node.inputs = vec![x];
    }
    report
}

/// The operand of which a node is a known function, that function, and in how many operations it
/// was written.
fn found(graph: &Graph, id: NodeId, points: &[f32]) -> Option<(NodeId, Function, usize)> {
    // The operations so far, and what they take: the latest of these is taken apart next.
    let mut inside = BTreeSet::from([id]);
    let mut open: BTreeSet<NodeId> = operands(graph, id)?;
    while inside.len() <= MOST_OPERATIONS {
        if let (Some(&x), 1) = (open.first(), open.len()) {
            let same_shape = graph.node(x).shape == graph.node(id).shape;
            if inside.len() > 1
                && same_shape
                && let Some(values) = evaluated(graph, &inside, x, id, points)
                && let Some(function) =
                    catalogue().find(|f| f.entry().written_out && agrees(*f, points, &values))
            {
                return Some((x, function, inside.len()));
            }
        }
        let last = open.pop_last()?;
        open.extend(operands(graph, last)?);
        inside.insert(last);
    }
    None
}

/// The operands of an element-by-element operation that are not single numbers; none of any other
/// operation.
fn operands(graph: &Graph, id: NodeId) -> Option<BTreeSet<NodeId>> {
    let node = graph.node(id);
    let by_element = matches!(
        node.op,
        Op::Arithmetic(
            Arithmetic::Add
                | Arithmetic::Sub
                | Arithmetic::Mul
                | Arithmetic::Div
                | Arithmetic::Maximum
                | Arithmetic::Minimum
        ) | Op::Activation(Activation::Relu | Activation::ClippedRelu { .. })
            | Op::Function(_)
            | Op::Identity
    );
    let open = node.inputs.iter().copied().filter(|&i| number(graph, i).is_none());
    by_element.then(|| open.collect())
}

/// The number that a constant is, everywhere.
fn number(graph: &Graph, id: NodeId) -> Option<f32> {
    let data = &graph.constant(id)?.data;
    data.first().copied().filter(|first| data.iter().all(|v| v == first))
}

/// What a node is where x takes these values.
fn evaluated(
    graph: &Graph,
    inside: &BTreeSet<NodeId>,
    x: NodeId,
    id: NodeId,
    points: &[f32],
) -> Option<Vec<f32>> {
    let mut values = std::collections::BTreeMap::from([(x, Array::vector(points.to_vec()))]);
    for &at in inside {
        let node = graph.node(at);
        let operands: Option<Vec<Array>> = node
            .inputs
            .iter()
            .map(|i| values.get(i).cloned().or_else(|| number(graph, *i).map(Array::scalar)))
            .collect();
        let operands = operands?;
        let value = node.op.evaluate(&operands.iter().collect::<Vec<_>>()).ok()?;
        values.insert(at, value);
    }
    values.get(&id).map(|array| array.data.to_vec())
}

fn agrees(function: Function, points: &[f32], values: &[f32]) -> bool {
    points.len() == values.len()
        && points.iter().zip(values).all(|(&x, &y)| {
            let wanted = function.at(x.into()) as f32;
            (y - wanted).abs() <= TOLERANCE * (1.0 + wanted.abs())
        })
}
