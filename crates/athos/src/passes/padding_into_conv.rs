//! Zeros around a picture go into the window of the layer that sees them.

use cryptflow_ring::{Movement, Window};

use super::PassReport;
use cryptflow_graph::operations::sees_elements;
use cryptflow_graph::{Activation, Arithmetic, Graph, Linear, NodeId, Op, Pool, Pooling, Reduce, Reduction};

/// Folds a padding of height and width into the convolution or pool behind it:
/// * a convolution and a sum pool see zeros either way;
/// * an average pool without padding of its own counts the zeros, so its padding counts from now
///   on;
/// * a max pool ignores its own padding, which is the same where nothing is negative, as behind a
///   ReLU.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("padding into layers");
    let non_negative = non_negative(graph);
    for i in 0..graph.nodes.len() {
        let node = graph.node(NodeId(i));
        let Some(&pad) = node.inputs.first() else { continue };
        let Some(padding) = spatial(graph, pad) else { continue };
        let x = graph.node(pad).inputs[0];
        let wider = |window: &Window| {
            let mut window = window.clone();
            for (own, new) in window.padding.iter_mut().zip(padding) {
                own[0] += new[0];
                own[1] += new[1];
            }
            window
        };
        let op = match &node.op {
            // The padding must be of the picture, not of the weights.
            Op::Linear(Linear::Conv2d { window, groups }) if !node.inputs[1..].contains(&pad) => {
                Op::Linear(Linear::Conv2d { window: wider(window), groups: *groups })
            }
            Op::Pool(Pool { kind: Pooling::Sum, window }) => {
                Op::Pool(Pool { kind: Pooling::Sum, window: wider(window) })
            }
            Op::Pool(Pool { kind: Pooling::Average { count_padding }, window })
                if *count_padding || !window.is_padded() =>
            {
                Op::Pool(Pool { kind: Pooling::Average { count_padding: true }, window: wider(window) })
            }
            Op::Pool(Pool { kind: Pooling::Average { .. }, .. }) => {
                report.leave(
                    &graph.node(pad).name,
                    format!("stays: {} counts only its own padding", node.name),
                );
                continue;
            }
            Op::Pool(Pool { kind: Pooling::Max, window }) => {
                let window = wider(window);
                if !non_negative[x.0] || !sees_elements(&window, &graph.node(x).shape) {
                    let reason =
                        format!("stays: its zeros may be the largest elements that {} sees", node.name);
                    report.leave(&graph.node(pad).name, reason);
                    continue;
                }
                Op::Pool(Pool { kind: Pooling::Max, window })
            }
            // No other operation can take a padding.
            _ => continue,
        };
        report.changed(&graph.node(pad).name, format!("folded into {}", node.name));
        let node = &mut graph.nodes[i];
        node.op = op;
        node.inputs[0] = x;
    }
    report
}

/// The zeros that a node adds to height and width, if that is all that it does.
fn spatial(graph: &Graph, id: NodeId) -> Option<[[usize; 2]; 2]> {
    match &graph.node(id).op {
        Op::Movement(Movement::Pad { before, after }) => match (before.as_slice(), after.as_slice()) {
            (&[0, top, left, 0], &[0, bottom, right, 0]) => Some([[top, bottom], [left, right]]),
            _ => None,
        },
        // No other operation is a padding.
        _ => None,
    }
}

/// For each node, whether no element of its result can be negative.
fn non_negative(graph: &Graph) -> Vec<bool> {
    let mut result: Vec<bool> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let known = match &node.op {
            Op::Activation(Activation::Relu | Activation::ClippedRelu { .. } | Activation::Softmax) => true,
            Op::Constant(array) => array.data.iter().all(|&v| v >= 0.0),
            Op::Pool(_)
            | Op::Reduce(Reduce { kind: Reduction::Mean | Reduction::Sum, .. })
            | Op::Arithmetic(Arithmetic::Add | Arithmetic::Mul)
            | Op::Identity
            | Op::Movement(_) => node.inputs.iter().all(|i| result[i.0]),
            // Of what is not listed it is not known.
            _ => false,
        };
        result.push(known);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::harness;
    use super::*;

    #[test]
    fn only_where_it_is_exact() {
        let window = |padding: usize| Window {
            kernel: [3, 3],
            stride: [2, 2],
            dilation: [1, 1],
            padding: [[padding; 2]; 2],
        };
        let max = |p| Op::Pool(Pool { kind: Pooling::Max, window: window(p) });
        let average =
            |p, count_padding| Op::Pool(Pool { kind: Pooling::Average { count_padding }, window: window(p) });
        let space = [[0, 1, 2, 0], [0, 2, 0, 0]];
        let table = [
            ("conv", Op::Linear(Linear::Conv2d { window: window(1), groups: 1 }), space, false, true),
            ("sum", Op::Pool(Pool { kind: Pooling::Sum, window: window(1) }), space, false, true),
            ("average", average(0, false), space, false, true),
            ("average that counts its padding", average(1, true), space, false, true),
            ("average that does not", average(1, false), space, false, false),
            ("maximum behind a ReLU", max(0), space, true, true),
            ("maximum of anything", max(0), space, false, false),
            ("maximum with windows of zeros", max(0), [[0, 4, 0, 0], [0; 4]], true, false),
            ("channels", average(0, false), [[0, 0, 0, 1], [0; 4]], false, false),
        ];
        for (what, op, [before, after], relu, folds) in table {
            let mut g = Graph::default();
            let mut x = g.add_input("x", vec![1, 6, 7, 2]);
            if relu {
                x = g.add("relu", Activation::Relu, &[x]).unwrap();
            }
            let pad = Movement::Pad { before: before.to_vec(), after: after.to_vec() };
            let pad = g.add("pad", pad, &[x]).unwrap();
            let mut inputs = vec![pad];
            if matches!(op, Op::Linear(Linear::Conv2d { .. })) {
                inputs.push(g.add_constant("w", harness::Random(3).array(&[3, 3, 2, 4])));
            }
            let y = g.add("y", op, &inputs).unwrap();
            g.add_output("y", y);
            let expected = harness::outputs(&g);
            let report = run(&mut g);
            harness::check(&g);
            assert_eq!(report.changes.len(), usize::from(folds), "{what}");
            assert_eq!(g.node(y).inputs[0], if folds { x } else { pad }, "{what}");
            harness::same(&expected, &harness::outputs(&g));
        }
    }
}
