//! Which limits become one, and which go.

use cryptflow_athos::passes::{dead_nodes, limits::run, remove_identities};
use cryptflow_graph::{Activation, Arithmetic, Array, Function, Graph, NodeId, Op};

use super::harness;

/// An operation on a value, in a table.
#[derive(Clone, Copy)]
enum Do {
    Relu,
    Clipped(f32),
    AtLeast(f32),
    AtMost(f32),
    /// Between two numbers, in one step.
    Between(f32, f32),
    Sigmoid,
    /// The value is an output, too.
    Shown,
}

fn add(g: &mut Graph, name: &str, what: Do, x: NodeId) -> NodeId {
    let number =
        |g: &mut Graph, part: &str, v: f32| g.add_constant(format!("{name}/{part}"), Array::scalar(v));
    match what {
        Do::Relu => g.add(name, Activation::Relu, &[x]).unwrap(),
        Do::Clipped(limit) => g.add(name, Activation::ClippedRelu { limit }, &[x]).unwrap(),
        Do::AtLeast(v) => {
            let v = number(g, "low", v);
            g.add(name, Arithmetic::Maximum, &[v, x]).unwrap()
        }
        Do::AtMost(v) => {
            let v = number(g, "high", v);
            g.add(name, Arithmetic::Minimum, &[x, v]).unwrap()
        }
        Do::Between(low, high) => {
            let v = number(g, "from", low);
            let above = g.add(format!("{name}/above"), Arithmetic::Sub, &[x, v]).unwrap();
            let limit = high - low;
            let cut = g.add(format!("{name}/cut"), Activation::ClippedRelu { limit }, &[above]).unwrap();
            g.add(name, Arithmetic::Add, &[cut, v]).unwrap()
        }
        Do::Sigmoid => g.add(name, Function::SIGMOID, &[x]).unwrap(),
        Do::Shown => {
            g.add_output(name, x);
            x
        }
    }
}

#[test]
fn limits_on_limits() {
    use Do::{AtLeast, AtMost, Between, Clipped, Relu, Shown, Sigmoid};
    let clip = ["sub", "clipped relu", "add"];
    let table: [(&str, &[Do], &[&str]); 16] = [
        ("one", &[Relu], &["relu"]),
        ("a clip behind a ReLU", &[Relu, AtMost(0.5)], &["clipped relu"]),
        ("a ReLU behind a clip", &[Between(-0.5, 0.25), Relu], &["clipped relu"]),
        ("a grid around a ReLU", &[Between(-0.5, 0.5), Relu, Clipped(0.25)], &["clipped relu"]),
        ("two of two ends", &[Between(-0.5, 0.5), Between(-0.25, 0.75)], &clip),
        ("two of one end", &[AtLeast(-0.5), AtLeast(-0.25)], &["maximum"]),
        ("one of each", &[AtLeast(-0.5), AtMost(0.25)], &clip),
        ("the same again", &[Clipped(0.5), Clipped(0.5)], &["clipped relu"]),
        ("wider than before", &[Between(-0.25, 0.25), Between(-0.5, 0.5)], &clip),
        ("wide enough for a sigmoid", &[Sigmoid, Between(-1.0, 1.0)], &["sigmoid"]),
        ("too narrow for a sigmoid", &[Sigmoid, Clipped(0.55)], &["sigmoid", "minimum"]),
        ("narrow on both sides", &[Sigmoid, Between(0.45, 0.55)], &["sigmoid", "sub", "clipped relu", "add"]),
        // Nothing lies between: it is left as it is.
        ("beside each other", &[AtLeast(0.5), AtMost(0.25)], &["maximum", "minimum"]),
        ("used", &[Between(-0.5, 0.25), Shown, Relu], &["sub", "clipped relu", "add", "relu"]),
        ("used, and idle behind", &[Clipped(0.25), Shown, Clipped(0.5)], &["clipped relu"]),
        ("a ReLU of two uses", &[Relu, Shown, Clipped(0.5)], &["relu", "minimum"]),
    ];
    for (what, steps, left) in table {
        let mut g = Graph::default();
        let mut x = g.add_input("x", vec![2, 40]);
        for (i, &step) in steps.iter().enumerate() {
            x = add(&mut g, &format!("step_{i}"), step, x);
        }
        g.add_output("y", x);
        for _ in 0..3 {
            harness::preserving(run, &mut g);
            harness::preserving(remove_identities::run, &mut g);
            dead_nodes::run(&mut g);
        }
        assert_eq!(harness::operations(&g), left, "{what}");
        assert!(run(&mut g).changes.is_empty(), "{what}: not a fixed point");
    }
}

/// A limit of another shape than what it limits spreads it: it stays.
#[test]
fn what_spreads_stays() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![3]);
    let y = g.add("y", Activation::Relu, &[x]).unwrap();
    let limit = g.add_constant("limit", Array::filled(vec![2, 3], 0.5).unwrap());
    let z = g.add("z", Arithmetic::Minimum, &[y, limit]).unwrap();
    g.add_output("z", z);
    assert!(harness::preserving(run, &mut g).changes.is_empty());
    assert_eq!(g.node(z).op, Op::Arithmetic(Arithmetic::Minimum));
}
