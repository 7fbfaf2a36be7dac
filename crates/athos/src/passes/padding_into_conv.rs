//! Zeros around a picture go into the window of the layer that sees them.

use cryptflow_ring::{Movement, Window};

use super::PassReport;
use cryptflow_graph::operations::sees_elements;
use cryptflow_graph::ranges::images;
use cryptflow_graph::{Graph, Linear, NodeId, Op, Pool, Pooling};

/// Folds a padding of height and width into the convolution or pool behind it:
/// * a convolution and a sum pool see zeros either way;
/// * an average pool without padding of its own counts the zeros, so its padding counts from now
///   on;
/// * a max pool ignores its own padding, which is the same where nothing is negative, as behind a
///   ReLU.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("padding into layers");
    let images = images(graph);
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
                if images[x.0].low < 0.0 || !sees_elements(&window, &graph.node(x).shape) {
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
