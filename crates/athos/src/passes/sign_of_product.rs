//! Whether a product is positive depends on the signs of its factors alone. The product of two small
//! values is smaller than rounding, and its sign is lost, where theirs are not: how often a signal crosses
//! zero is written as a product of neighbours.

use super::PassReport;
use cryptflow_graph::{Arithmetic, Array, Function, Graph, Node, NodeId, Op};

/// Has products of secrets that are compared with zero, or whose sign is taken, made of the signs of
/// their factors.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("signs of products");
    for index in 0..graph.nodes.len() {
        let Some(at) = compared_with_zero(graph, NodeId(index)) else { continue };
        let product = graph.node(graph.nodes[index].inputs[at]);
        let [a, b] = match (&product.op, product.inputs.as_slice()) {
            (Op::Arithmetic(Arithmetic::Mul), &[a, b]) if !known(graph, a) && !known(graph, b) => [a, b],
            // Nothing else is a product of secrets.
            _ => continue,
        };
        let (name, shape) = (graph.nodes[index].name.clone(), product.shape.clone());
        report.changed(&name, "looks at the signs of a product's factors");
        let signs = [(a, "left"), (b, "right")].map(|(factor, side)| {
            let op = Op::Function(Function::SIGN);
            let shape = graph.node(factor).shape.clone();
            graph.push(Node { name: format!("{name}/{side}"), op, inputs: vec![factor], shape })
        });
        let op = Op::Arithmetic(Arithmetic::Mul);
        let product = graph.push(Node { name: format!("{name}/signs"), op, inputs: signs.to_vec(), shape });
        graph.nodes[index].inputs[at] = product;
    }
    graph.restore_order();
    report
}

/// Which operand of a node it compares with zero, or takes the sign of.
fn compared_with_zero(graph: &Graph, id: NodeId) -> Option<usize> {
    let node = graph.node(id);
    let zero = |at: usize| {
        let zeros = |c: &Array| c.data.iter().all(|&v| v == 0.0);
        node.inputs.get(at).and_then(|&id| graph.constant(id)).is_some_and(zeros)
    };
    match &node.op {
        Op::Arithmetic(Arithmetic::Compare(_)) if zero(1) => Some(0),
        Op::Arithmetic(Arithmetic::Compare(_)) if zero(0) => Some(1),
        Op::Function(function) if *function == Function::SIGN => Some(0),
        // Nothing else asks on which side of zero a value is.
        _ => None,
    }
}

/// Whether a factor is the model's, or a sign already.
fn known(graph: &Graph, id: NodeId) -> bool {
    matches!(&graph.node(id).op, Op::Constant(_))
        || matches!(&graph.node(id).op, Op::Function(function) if *function == Function::SIGN)
}
