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

#[cfg(test)]
mod tests {
    use cryptflow_ring::Window;

    use super::super::harness;
    use super::*;

    #[test]
    fn only_where_it_is_exact_and_cheaper() {
        let window = |kernel: usize, stride: usize, padding: usize| Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1, 1],
            padding: [[padding; 2]; 2],
        };
        let single = || window(1, 1, 0);
        let average =
            |w: Window| Op::Pool(Pool { kind: Pooling::Average { count_padding: true }, window: w });
        let table = [
            ("a transition", single(), 1, average(window(2, 2, 0)), false, true),
            ("in groups", single(), 2, average(window(2, 2, 0)), false, true),
            (
                "a sum",
                single(),
                1,
                Op::Pool(Pool { kind: Pooling::Sum, window: window(2, 3, 0) }),
                false,
                true,
            ),
            ("more products", single(), 1, average(window(3, 1, 0)), false, false),
            ("padding", single(), 1, average(window(2, 2, 1)), false, false),
            ("a wider convolution", window(3, 1, 1), 1, average(window(2, 2, 0)), false, false),
            ("a stride", window(1, 2, 0), 1, average(window(2, 2, 0)), false, false),
            ("another use", single(), 1, average(window(2, 2, 0)), true, false),
        ];
        for (what, conv, groups, pool, used, folds) in table {
            let mut g = Graph::default();
            let x = g.add_input("x", vec![2, 6, 7, 4]);
            let mut random = harness::Random(11);
            let w = g.add_constant("w", random.array(&[conv.kernel[0], conv.kernel[1], 4 / groups, 6]));
            let b = g.add_constant("b", random.array(&[6]));
            let y = g.add("conv", Linear::Conv2d { window: conv, groups }, &[x, w, b]).unwrap();
            let z = g.add("pool", pool, &[y]).unwrap();
            g.add_output("pool", z);
            if used {
                g.add_output("conv", y);
            }
            let before = harness::outputs(&g);
            let report = run(&mut g);
            harness::check(&g);
            assert_eq!(report.changes.len(), usize::from(folds), "{what}");
            harness::same(&before, &harness::outputs(&g));
            let last = g.node(g.outputs[0]);
            assert_eq!((last.name.as_str(), last.op.name() == "conv"), ("pool", folds), "{what}");
        }
    }
}
