//! The logarithm of a softmax becomes `x − max − ln Σ e^(x − max)`: a softmax has parts that fixed
//! point rounds to zero, and their logarithms are as good as the others'.

use super::PassReport;
use cryptflow_graph::{Activation, Arithmetic, Function, Graph, Node, NodeId, Op, Reduce, Reduction};

/// Turns `log(softmax(x))` into sums that lose nothing.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("logarithms of softmax");
    for index in 0..graph.nodes.len() {
        let Some(x) = under_softmax(graph, NodeId(index)) else { continue };
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
        let node = &mut graph.nodes[index];
        (node.op, node.inputs) = (Op::Arithmetic(Arithmetic::Sub), vec![below, logarithm]);
    }
    graph.restore_order();
    report
}

/// What a node is the logarithm of the softmax of.
fn under_softmax(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let operand = |id: NodeId| graph.node(id).inputs.first().copied();
    let logarithm = matches!(&graph.node(id).op, Op::Function(function) if *function == Function::LOG);
    let softmax = operand(id).filter(|_| logarithm)?;
    let of = matches!(graph.node(softmax).op, Op::Activation(Activation::Softmax));
    if of { operand(softmax) } else { None }
}
