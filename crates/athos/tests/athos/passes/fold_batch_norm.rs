//! Where normalisations go.

use cryptflow_athos::passes::{dead_nodes, fold_batch_norm::run};
use cryptflow_graph::{Activation, Arithmetic, Array, Function, Graph, Linear, NodeId};
use cryptflow_ring::{Movement, Window};

use super::harness;

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
        harness::preserving(run, &mut g);
        dead_nodes::run(&mut g);
        assert_eq!(harness::operations(&g), left, "{what}");
    }
}

/// A layer behind it does not wait for a normalisation that others need.
#[test]
fn layers_take_a_normalisation_up_beside_other_uses() {
    let mut b = Builder { g: Graph::default(), random: harness::Random(7) };
    let x = b.g.add_input("x", vec![1, 5, 6, 3]);
    let x = b.relu(x);
    let y = b.norm(x, true);
    let layers = [b.conv("first", y, 0), b.conv("second", y, 0), b.conv("padded", y, 1)];
    let root = b.g.add("tanh", Function::TANH, &[y]).unwrap();
    let mut g = b.g;
    for id in layers.into_iter().chain([root]) {
        let name = g.node(id).name.clone();
        g.add_output(name, id);
    }
    harness::preserving(run, &mut g);
    let operand = |name: &str| {
        let node = g.nodes.iter().find(|n| n.name == name).unwrap();
        g.node(node.inputs[0]).name.clone()
    };
    assert_eq!(["first", "second", "padded", "tanh"].map(operand), ["relu", "relu", "norm", "norm"]);
}
