//! Functions that are written out, each in the forms that frameworks export.

use cryptflow_athos::passes::{dead_nodes, recognise::run};
use cryptflow_graph::{Activation, Arithmetic, Array, Function, Graph, NodeId, Op};

use super::harness;

type Build = fn(&mut Graph, NodeId) -> NodeId;

fn scalar(g: &mut Graph, value: f32) -> NodeId {
    g.add_constant(format!("c{}", g.nodes.len()), Array::scalar(value))
}

fn add(g: &mut Graph, op: impl Into<Op>, inputs: &[NodeId]) -> NodeId {
    g.add(format!("n{}", g.nodes.len()), op, inputs).unwrap()
}

fn by(g: &mut Graph, op: impl Into<Op>, x: NodeId, value: f32) -> NodeId {
    let c = scalar(g, value);
    add(g, op, &[x, c])
}

fn f(g: &mut Graph, function: Function, x: NodeId) -> NodeId {
    add(g, function, &[x])
}

#[test]
fn functions_that_are_written_out() {
    let table: [(&str, Build); 13] = [
        ("sigmoid", |g, x| {
            // An exponential alone would be larger than fixed point holds.
            let n = by(g, Arithmetic::Mul, x, -1.0);
            let e = f(g, Function::EXP, n);
            let d = by(g, Arithmetic::Add, e, 1.0);
            f(g, Function::RECIPROCAL, d)
        }),
        ("sigmoid", |g, x| {
            let n = by(g, Arithmetic::Mul, x, -1.0);
            let e = f(g, Function::EXP, n);
            let d = by(g, Arithmetic::Add, e, 1.0);
            let one = scalar(g, 1.0);
            add(g, Arithmetic::Div, &[one, d])
        }),
        ("gelu", |g, x| {
            let z = by(g, Arithmetic::Div, x, std::f32::consts::SQRT_2);
            let e = f(g, Function::ERF, z);
            let e = by(g, Arithmetic::Add, e, 1.0);
            let h = by(g, Arithmetic::Mul, x, 0.5);
            add(g, Arithmetic::Mul, &[h, e])
        }),
        ("gelu", |g, x| {
            // With the complement of the error function, as Keras has it.
            let n = by(g, Arithmetic::Mul, x, -1.0);
            let z = by(g, Arithmetic::Mul, n, std::f32::consts::FRAC_1_SQRT_2);
            let e = f(g, Function::ERF, z);
            let one = scalar(g, 1.0);
            let c = add(g, Arithmetic::Sub, &[one, e]);
            let h = by(g, Arithmetic::Mul, x, 0.5);
            add(g, Arithmetic::Mul, &[h, c])
        }),
        ("gelu", |g, x| {
            let cube = f(g, Function::power(3.0), x);
            let cube = by(g, Arithmetic::Mul, cube, 0.044715);
            let sum = add(g, Arithmetic::Add, &[x, cube]);
            let z = by(g, Arithmetic::Mul, sum, 0.797_884_6);
            let t = f(g, Function::TANH, z);
            let t = by(g, Arithmetic::Add, t, 1.0);
            let h = add(g, Arithmetic::Mul, &[x, t]);
            by(g, Arithmetic::Mul, h, 0.5)
        }),
        ("swish", |g, x| {
            let s = f(g, Function::SIGMOID, x);
            add(g, Arithmetic::Mul, &[s, x])
        }),
        ("swish", |g, x| {
            let n = by(g, Arithmetic::Mul, x, -1.0);
            let e = f(g, Function::EXP, n);
            let d = by(g, Arithmetic::Add, e, 1.0);
            add(g, Arithmetic::Div, &[x, d])
        }),
        ("hard swish", |g, x| {
            let s = by(g, Arithmetic::Add, x, 3.0);
            let c = add(g, Activation::ClippedRelu { limit: 6.0 }, &[s]);
            let p = add(g, Arithmetic::Mul, &[x, c]);
            by(g, Arithmetic::Mul, p, 1.0 / 6.0)
        }),
        ("mish", |g, x| {
            let s = f(g, Function::SOFTPLUS, x);
            let t = f(g, Function::TANH, s);
            add(g, Arithmetic::Mul, &[x, t])
        }),
        ("softplus", |g, x| {
            let e = f(g, Function::EXP, x);
            let s = by(g, Arithmetic::Add, e, 1.0);
            f(g, Function::LOG, s)
        }),
        ("log sigmoid", |g, x| {
            let s = f(g, Function::SIGMOID, x);
            f(g, Function::LOG, s)
        }),
        ("log sigmoid", |g, x| {
            let n = by(g, Arithmetic::Mul, x, -1.0);
            let e = f(g, Function::EXP, n);
            let d = by(g, Arithmetic::Add, e, 1.0);
            let one = scalar(g, 1.0);
            let s = add(g, Arithmetic::Div, &[one, d]);
            f(g, Function::LOG, s)
        }),
        ("mul", |g, x| {
            // None of them: the factor is another.
            let s = f(g, Function::SIGMOID, x);
            let s = by(g, Arithmetic::Mul, s, 1.5);
            add(g, Arithmetic::Mul, &[x, s])
        }),
    ];
    for (name, build) in table {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![3, 4]);
        let y = build(&mut g, x);
        g.add_output("y", y);
        let report = harness::preserving(run, &mut g);
        dead_nodes::run(&mut g);
        assert_eq!(g.node(g.outputs[0]).op.name(), name, "{report:?}");
        assert_eq!(report.changes.len(), usize::from(name != "mul"));
        assert!(name == "mul" || g.nodes.len() == 2);
    }
}

#[test]
fn what_is_broadcast_or_has_two_operands_stays() {
    let mut g = Graph::default();
    let (x, z) = (g.add_input("x", vec![1, 4]), g.add_input("z", vec![3, 4]));
    let s = f(&mut g, Function::SIGMOID, x);
    let a = add(&mut g, Arithmetic::Mul, &[z, s]);
    g.add_output("a", a);
    assert!(run(&mut g).changes.is_empty());
}
