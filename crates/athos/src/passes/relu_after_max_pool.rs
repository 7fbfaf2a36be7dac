//! A ReLU before a max pool moves behind it, where there are fewer elements: the largest element's
//! ReLU is the largest ReLU.

use super::{PassReport, only_user};
use cryptflow_graph::operations::sees_elements;
use cryptflow_graph::{Activation, Graph, Node, NodeId, Op, Pool, Pooling};

/// Turns `MaxPool(Relu(x))` into `Relu(MaxPool(x))`, for clipped ReLUs too, where the ReLU has no
/// other use and the pool makes fewer elements. Padding never wins, so this is exact.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("ReLU after max pool");
    let uses = graph.uses();
    for i in 0..graph.nodes.len() {
        let pool = NodeId(i);
        let node = graph.node(pool);
        let Op::Pool(Pool { kind: Pooling::Max, window }) = &node.op else { continue };
        let relu = node.inputs[0];
        let before = graph.node(relu);
        if !matches!(before.op, Op::Activation(Activation::Relu | Activation::ClippedRelu { .. })) {
            continue;
        }
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        // A window of nothing but padding would make −∞ where there was one, and a zero behind the
        // ReLU.
        if elements(&node.shape) >= elements(&before.shape) || !sees_elements(window, &before.shape) {
            continue;
        }
        if only_user(graph, &uses, relu).is_none() {
            report.leave(&before.name, "stays before the max pool: its result has other uses");
            continue;
        }
        let x = before.inputs[0];
        let function = before.op.clone();
        report.changed(&before.name, format!("moved behind {}", node.name));
        let first = Node {
            name: format!("{}/before_activation", node.name),
            op: node.op.clone(),
            inputs: vec![x],
            shape: node.shape.clone(),
        };
        let first = graph.push(first);
        let node = &mut graph.nodes[i];
        node.op = function;
        node.inputs = vec![first];
    }
    graph.restore_order();
    report
}

#[cfg(test)]
mod tests {
    use cryptflow_ring::Window;

    use super::super::{dead_nodes, harness};
    use super::*;

    #[test]
    fn only_where_the_relu_has_no_other_use() {
        let window = |stride: usize, padding: usize| Window {
            kernel: [2, 2],
            stride: [stride; 2],
            dilation: [1, 1],
            padding: [[padding; 2]; 2],
        };
        let table = [
            ("plain", Op::Activation(Activation::Relu), window(2, 0), false, true),
            ("clipped", Op::Activation(Activation::ClippedRelu { limit: 0.5 }), window(2, 0), false, true),
            ("padded", Op::Activation(Activation::Relu), window(2, 1), false, true),
            ("windows of padding", Op::Activation(Activation::Relu), window(2, 2), false, false),
            ("as many elements", Op::Activation(Activation::Relu), window(1, 1), false, false),
            ("another use", Op::Activation(Activation::Relu), window(2, 0), true, false),
        ];
        for (what, relu, window, used, moves) in table {
            let mut g = Graph::default();
            let x = g.add_input("x", vec![1, 6, 6, 3]);
            let y = g.add("relu", relu.clone(), &[x]).unwrap();
            let z = g.add("pool", Pool { kind: Pooling::Max, window }, &[y]).unwrap();
            g.add_output("pool", z);
            if used {
                g.add_output("relu", y);
            }
            let before = harness::outputs(&g);
            let report = run(&mut g);
            harness::check(&g);
            assert_eq!(report.changes.len(), usize::from(moves), "{what}");
            assert_eq!(report.left.len(), usize::from(used), "{what}");
            harness::same(&before, &harness::outputs(&g));
            dead_nodes::run(&mut g);
            let last = g.node(g.outputs[0]);
            assert_eq!((last.name.as_str(), last.op == relu), ("pool", moves), "{what}");
        }
    }
}
