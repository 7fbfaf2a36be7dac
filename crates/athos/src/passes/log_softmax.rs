//! The logarithm of a softmax becomes `x − max − ln Σ e^(x − max)`: a softmax has parts that fixed
//! point rounds to zero, and their logarithms are as good as the others'. What keeps them from zero in
//! the model keeps its meaning: `ln(p + ε)` is `ln ε + softplus(ln p − ln ε)`, and `ln max(p, ε)` is
//! `max(ln p, ln ε)`.

use super::PassReport;
use cryptflow_graph::{Activation, Arithmetic, Array, Function, Graph, Node, NodeId, Op, Reduce, Reduction};

/// What keeps the operand of a logarithm from zero.
#[derive(Clone, Copy)]
enum Kept {
    /// Nothing.
    Not,
    /// This is added.
    Added(f32),
    /// It is no less than this.
    AtLeast(f32),
}

/// Turns `log(softmax(x))` into sums that lose nothing.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("logarithms of softmax");
    for index in 0..graph.nodes.len() {
        let Some((x, kept)) = under_softmax(graph, NodeId(index)) else { continue };
        let (name, shape) = (graph.nodes[index].name.clone(), graph.nodes[index].shape.clone());
        let Some(last) = shape.len().checked_sub(1) else { continue };
        let mut row = shape.clone();
        row[last] = 1;
        let mut part = |what: &str, op: Op, inputs: Vec<NodeId>, shape: &[usize]| {
            graph.push(Node { name: format!("{name}/{what}"), op, inputs, shape: shape.to_vec() })
        };
        let along = |kind: Reduction| Op::Reduce(Reduce { kind, axes: vec![last], keep_dims: true });
        let largest = part("max", along(Reduction::Max), vec![x], &row);
        let below = part("below", Op::Arithmetic(Arithmetic::Sub), vec![x, largest], &shape);
        let terms = part("exp", Op::Function(Function::EXP), vec![below], &shape);
        let sum = part("sum", along(Reduction::Sum), vec![terms], &row);
        let logarithm = part("log", Op::Function(Function::LOG), vec![sum], &row);
        report.changed(&name, "the logarithm of a softmax");
        let difference = (Op::Arithmetic(Arithmetic::Sub), vec![below, logarithm]);
        let (op, inputs) = match kept {
            Kept::Not => difference,
            Kept::Added(least) | Kept::AtLeast(least) => {
                let whole = part("whole", difference.0, difference.1, &shape);
                let least = graph.add_constant(format!("{name}/least"), Array::scalar(least.ln()));
                let mut part = |what: &str, op: Op, inputs: Vec<NodeId>| {
                    graph.push(Node { name: format!("{name}/{what}"), op, inputs, shape: shape.clone() })
                };
                if let Kept::AtLeast(_) = kept {
                    (Op::Arithmetic(Arithmetic::Maximum), vec![whole, least])
                } else {
                    let above = part("above", Op::Arithmetic(Arithmetic::Sub), vec![whole, least]);
                    let more = part("more", Op::Function(Function::SOFTPLUS), vec![above]);
                    (Op::Arithmetic(Arithmetic::Add), vec![more, least])
                }
            }
        };
        let node = &mut graph.nodes[index];
        (node.op, node.inputs) = (op, inputs);
    }
    graph.restore_order();
    report
}

/// What a node is the logarithm of the softmax of, and what keeps that from zero.
fn under_softmax(graph: &Graph, id: NodeId) -> Option<(NodeId, Kept)> {
    let logarithm = matches!(&graph.node(id).op, Op::Function(function) if *function == Function::LOG);
    let operand = graph.node(id).inputs.first().copied().filter(|_| logarithm)?;
    let (softmax, kept) = kept(graph, operand);
    let of = matches!(graph.node(softmax).op, Op::Activation(Activation::Softmax));
    Some((graph.node(softmax).inputs.first().copied().filter(|_| of)?, kept))
}

/// What a value is beside a small number that keeps it from zero.
fn kept(graph: &Graph, id: NodeId) -> (NodeId, Kept) {
    let node = graph.node(id);
    let [a, b] = node.inputs[..] else { return (id, Kept::Not) };
    let number = |id: NodeId| {
        let constant = graph.constant(id)?;
        let first = *constant.data.first()?;
        (first > 0.0 && constant.data.iter().all(|&v| v == first)).then_some(first)
    };
    let (value, least) = match (number(a), number(b)) {
        (None, Some(least)) => (a, least),
        (Some(least), None) => (b, least),
        (None, None) | (Some(_), Some(_)) => return (id, Kept::Not),
    };
    match &node.op {
        Op::Arithmetic(Arithmetic::Add) if graph.node(value).shape == node.shape => {
            (value, Kept::Added(least))
        }
        Op::Arithmetic(Arithmetic::Maximum) if graph.node(value).shape == node.shape => {
            (value, Kept::AtLeast(least))
        }
        // Nothing else keeps a value from zero.
        _ => (id, Kept::Not),
    }
}
