//! Batch normalisations go into the layer before them, or into the layer behind them, or become
//! diagonal layers.

use super::affine::{Affine, Layer, become_layer, become_scale};
use super::{PassReport, only_user};
use cryptflow_graph::{Graph, Linear, NodeId, Op};

/// Folds every batch normalisation (and every scale) into the convolution or matrix product before
/// it, where that has no other use; else into the one behind it, where that is exact: it is the
/// only use and sees no padding. A batch normalisation that fits nowhere becomes a `Linear::Scale`.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("fold batch norm");
    for i in 0..graph.nodes.len() {
        let id = NodeId(i);
        let is_norm = matches!(graph.node(id).op, Op::Linear(Linear::BatchNorm { .. }));
        if !is_norm && graph.node(id).op != Op::Linear(Linear::Scale) {
            continue;
        }
        let Some(affine) = Affine::of(graph, id) else { continue };
        let uses = graph.uses();
        // What nothing uses any more has been folded.
        if uses[i].is_empty() && !graph.outputs.contains(&id) {
            continue;
        }
        let name = graph.node(id).name.clone();
        if let Some(layer) = affine.fold_back(graph, &uses, id) {
            report.changed(&name, format!("folded into {layer}"));
        } else if let Some(layer) = fold_forward(graph, &uses, id, &affine) {
            report.changed(&name, format!("folded into {layer} behind it"));
        } else if is_norm {
            become_scale(graph, id, affine);
            report.changed(&name, "made a diagonal layer: no layer takes it up");
        }
    }
    graph.restore_order();
    report
}

fn fold_forward(graph: &mut Graph, uses: &[Vec<NodeId>], id: NodeId, affine: &Affine) -> Option<String> {
    let user = only_user(graph, uses, id)?;
    let layer = Layer::of(graph, user)?;
    if layer.x != id || !layer.takes(affine) {
        return None;
    }
    let new = layer.after(affine);
    become_layer(graph, user, user, affine.operand, new);
    Some(graph.node(user).name.clone())
}

#[cfg(test)]
mod tests {
    use cryptflow_ring::{Movement, Window};

    use super::super::{dead_nodes, harness};
    use super::*;
    use cryptflow_graph::{Activation, Arithmetic, Array};

    fn window(padding: usize) -> Window {
        Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [[padding; 2]; 2] }
    }

    struct Builder {
        g: Graph,
        random: harness::Random,
    }

    impl Builder {
        fn conv(&mut self, name: &str, x: NodeId, padding: usize) -> NodeId {
            let channels = self.g.node(x).shape[3];
            let w = self.random.array(&[3, 3, channels, 4]);
            let w = self.g.add_constant(format!("{name}/w"), w);
            self.g.add(name, Linear::Conv2d { window: window(padding), groups: 1 }, &[x, w]).unwrap()
        }

        fn norm(&mut self, x: NodeId, beta: bool) -> NodeId {
            let c = *self.g.node(x).shape.last().unwrap();
            let gamma = self.random.array(&[c]);
            let mut vectors = vec![self.g.add_constant("gamma", gamma)];
            for (name, positive) in [("beta", false), ("mean", false), ("variance", true)] {
                let values = match (positive, beta) {
                    (true, _) => Array::filled(vec![c], 0.7).unwrap(),
                    (_, true) => self.random.array(&[c]),
                    (_, false) => Array::filled(vec![c], 0.0).unwrap(),
                };
                vectors.push(self.g.add_constant(name, values));
            }
            vectors.insert(0, x);
            self.g.add("norm", Linear::BatchNorm { epsilon: 1e-3 }, &vectors).unwrap()
        }

        fn relu(&mut self, x: NodeId) -> NodeId {
            self.g.add("relu", Activation::Relu, &[x]).unwrap()
        }
    }

    /// What the normalisation becomes: the operations that are left, without constants.
    #[test]
    fn where_a_normalisation_goes() {
        type Build = fn(&mut Builder, NodeId) -> NodeId;
        let table: [(&str, Build, &[&str]); 7] = [
            (
                "into the layer before it",
                |b, x| {
                    let y = b.conv("conv", x, 1);
                    b.norm(y, true)
                },
                &["conv"],
            ),
            (
                "not where that has another use",
                |b, x| {
                    let y = b.conv("conv", x, 1);
                    let z = b.norm(y, true);
                    b.g.add("sum", Arithmetic::Add, &[y, z]).unwrap()
                },
                &["conv", "scale", "add"],
            ),
            (
                "into the layer behind it",
                |b, x| {
                    let y = b.norm(x, true);
                    b.conv("conv", y, 0)
                },
                &["conv"],
            ),
            (
                "not where that pads",
                |b, x| {
                    let y = b.norm(x, true);
                    b.conv("conv", y, 1)
                },
                &["scale", "conv"],
            ),
            (
                "padded, without an offset",
                |b, x| {
                    let y = b.norm(x, false);
                    b.conv("conv", y, 1)
                },
                &["conv"],
            ),
            (
                "not through an activation",
                |b, x| {
                    let y = b.norm(x, true);
                    let z = b.relu(y);
                    b.conv("conv", z, 1)
                },
                &["scale", "relu", "conv"],
            ),
            (
                "through a padding, without an offset",
                |b, x| {
                    let y = b.conv("conv", x, 0);
                    let pad = Movement::Pad { before: vec![0, 1, 1, 0], after: vec![0, 2, 0, 0] };
                    let y = b.g.add("pad", pad, &[y]).unwrap();
                    b.norm(y, false)
                },
                &["conv", "pad"],
            ),
        ];
        for (what, build, left) in table {
            let mut b = Builder { g: Graph::default(), random: harness::Random(7) };
            let x = b.g.add_input("x", vec![1, 5, 6, 3]);
            let y = build(&mut b, x);
            let mut g = b.g;
            g.add_output("y", y);
            let before = harness::outputs(&g);
            run(&mut g);
            harness::check(&g);
            harness::same(&before, &harness::outputs(&g));
            dead_nodes::run(&mut g);
            let ops: Vec<&str> =
                g.nodes.iter().map(|n| n.op.name()).filter(|n| !["input", "constant"].contains(n)).collect();
            assert_eq!(ops, left, "{what}");
        }
    }
}
