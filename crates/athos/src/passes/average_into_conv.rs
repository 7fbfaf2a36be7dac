//! A convolution of single pixels and the average behind it are one convolution with a stride: an
//! average of products is a product with averaged weights. DenseNet's transitions are such pairs.

use super::affine::{Layer, become_op};
use super::{PassReport, only_user};
use cryptflow_graph::{Graph, Linear, NodeId, Op, Pool, Pooling};

/// Weights are repeated for each pixel of the window: not more often than this.
const MAX_TAPS: usize = 16;

/// Turns an average or sum pool behind a 1 × 1 convolution that has no other use into one
/// convolution with the pool's window, where that takes no more products than before. There are
/// fewer results to round, and no division is left.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("averages into convolutions");
    let uses = graph.uses();
    for i in 0..graph.nodes.len() {
        let id = NodeId(i);
        let pool = graph.node(id);
        let (window, divides) = match &pool.op {
            Op::Pool(Pool { kind: Pooling::Average { .. }, window }) => (window.clone(), true),
            Op::Pool(Pool { kind: Pooling::Sum, window }) => (window.clone(), false),
            // No other operation sums over windows.
            _ => continue,
        };
        let taps = window.kernel[0] * window.kernel[1];
        let conv = pool.inputs[0];
        let Op::Linear(Linear::Conv2d { window: single, groups }) = &graph.node(conv).op else { continue };
        let plain = single.kernel == [1, 1] && single.stride == [1, 1] && !single.is_padded();
        let pixels = |id: NodeId| graph.node(id).shape[1] * graph.node(id).shape[2];
        // A window with padding would see zeros where the convolution gives its bias.
        let fits = plain && !window.is_padded() && taps <= MAX_TAPS && pixels(id) * taps <= pixels(conv);
        if !fits || only_user(graph, &uses, conv).is_none() {
            continue;
        }
        let Some(layer) = Layer::of(graph, conv) else { continue };
        let (factor, bias_factor) = if divides { (1.0 / taps as f32, 1.0) } else { (1.0, taps as f32) };
        let new = layer.repeated(window.kernel, factor, bias_factor);
        let (x, op) = (layer.x, Op::Linear(Linear::Conv2d { groups: *groups, window }));
        report.changed(&graph.node(id).name, format!("made one convolution with {}", graph.node(conv).name));
        become_op(graph, id, op, x, new);
    }
    graph.restore_order();
    report
}
