//! A division by a square root becomes a product with the inverse square root: one function that is
//! defined wherever its operand keeps away from zero, in place of two of which the second divides
//! by what the first one rounded. Normalisations are often exported in this form.

use super::PassReport;
use cryptflow_graph::{Arithmetic, Function, Graph, Node, NodeId, Op};

/// Turns `1 / sqrt(x)`, in each of its forms, into `rsqrt(x)`, and `a / sqrt(x)` into `a ·
/// rsqrt(x)`.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("inverse roots");
    for i in 0..graph.nodes.len() {
        let node = &graph.nodes[i];
        let root = |id: Option<&NodeId>| id.and_then(|&id| under_root(graph, id));
        match &node.op {
            Op::Function(function) if *function == Function::power(-0.5) => {
                report.changed(&node.name, "an inverse square root");
                graph.nodes[i].op = Op::Function(Function::RSQRT);
            }
            Op::Function(function) if *function == Function::RECIPROCAL => {
                let Some(x) = root(node.inputs.first()) else { continue };
                report.changed(&node.name, "the inverse of a square root");
                graph.nodes[i].op = Op::Function(Function::RSQRT);
                graph.nodes[i].inputs = vec![x];
            }
            Op::Arithmetic(Arithmetic::Div) => {
                let Some(x) = root(node.inputs.get(1)) else { continue };
                report.changed(&node.name, "divides by a square root");
                let (a, shape) = (node.inputs[0], graph.node(x).shape.clone());
                let one = graph.constant(a).is_some_and(|c| c.data.iter().all(|&v| v == 1.0));
                if one && node.shape == shape {
                    graph.nodes[i].op = Op::Function(Function::RSQRT);
                    graph.nodes[i].inputs = vec![x];
                    continue;
                }
                let name = format!("{}/inverse_root", node.name);
                let op = Op::Function(Function::RSQRT);
                let inverse = graph.push(Node { name, op, inputs: vec![x], shape });
                graph.nodes[i].op = Op::Arithmetic(Arithmetic::Mul);
                graph.nodes[i].inputs = vec![a, inverse];
            }
            // Nothing else is one.
            _ => {}
        }
    }
    graph.restore_order();
    report
}

/// What a node is the square root of.
fn under_root(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let node = graph.node(id);
    let root = matches!(&node.op, Op::Function(function) if function.simplest() == Function::SQRT);
    if root { node.inputs.first().copied() } else { None }
}
