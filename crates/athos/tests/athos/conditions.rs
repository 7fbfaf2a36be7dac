//! What is asked of operands, and where the graph itself sees to it.

use cryptflow_athos::check::conditions;
use cryptflow_graph::operations::OpError;
use cryptflow_graph::{Activation, Arithmetic, Array, Function, Graph, NodeId, Reduce, Reduction};

/// The conditions of a function behind what `before` makes of an input.
fn found(
    function: Function,
    before: impl Fn(&mut Graph, NodeId) -> Result<NodeId, OpError>,
) -> Vec<(NodeId, String)> {
    let mut graph = Graph::default();
    let x = graph.add_input("x", vec![2, 3]);
    let y = before(&mut graph, x).unwrap();
    let y = graph.add("y", function, &[y]).unwrap();
    graph.add_output("y", y);
    conditions(&graph)
}

#[test]
fn what_is_asked_of_an_input() {
    let table = [
        (Function::LOG, "its operand stays above 0"),
        (Function::SQRT, "its operand stays at 0 or above"),
        (Function::ACOSH, "its operand stays at 1 or above"),
        (Function::ASIN, "its operand stays at -1 or above and at 1 or below"),
        (Function::ATANH, "its operand stays above -1 and below 1"),
        (Function::TAN, "its operand stays above -1.5708 and below 1.5708"),
        (Function::RECIPROCAL, "its operand stays above zero, or stays below zero"),
        (Function::power(-2.0), "its operand stays above zero, or stays below zero"),
        (Function::power(0.5), "its operand stays at 0 or above"),
        (Function::SIGMOID, ""),
        (Function::power(3.0), ""),
    ];
    for (function, wanted) in table {
        let texts = found(function, |_, x| Ok(x));
        let text = texts.first().map_or("", |(_, text)| text.as_str());
        assert_eq!(text, wanted, "{}", function.name());
    }
}

#[test]
fn nothing_is_asked_where_the_graph_sees_to_it() {
    let scalar = |g: &mut Graph, v: f32| g.add_constant("c", Array::scalar(v));
    let variance = |g: &mut Graph, x: NodeId| {
        let square = g.add("square", Arithmetic::Mul, &[x, x])?;
        g.add("mean", Reduce { kind: Reduction::Mean, axes: vec![1], keep_dims: true }, &[square])
    };
    assert_eq!(found(Function::RSQRT, variance).len(), 1, "a variance may be zero");
    assert_eq!(found(Function::SQRT, variance), []);
    let with_epsilon = |g: &mut Graph, x: NodeId| {
        let (v, c) = (variance(g, x)?, scalar(g, 1e-5));
        g.add("sum", Arithmetic::Add, &[v, c])
    };
    assert_eq!(found(Function::RSQRT, with_epsilon), []);
    let clipped = |g: &mut Graph, x: NodeId| {
        let c = scalar(g, 0.1);
        g.add("cut", Arithmetic::Maximum, &[x, c])
    };
    assert_eq!(found(Function::LOG, clipped), []);
    let negative = |g: &mut Graph, x: NodeId| {
        let e = g.add("relu", Activation::Relu, &[x])?;
        let c = scalar(g, 0.5);
        let sum = g.add("sum", Arithmetic::Add, &[e, c])?;
        let minus = scalar(g, -1.0);
        g.add("minus", Arithmetic::Mul, &[sum, minus])
    };
    assert_eq!(found(Function::RECIPROCAL, negative), []);
}

#[test]
fn divisors() {
    let mut graph = Graph::default();
    let x = graph.add_input("x", vec![2]);
    let two = graph.add_constant("two", Array::scalar(2.0));
    let half = graph.add("half", Arithmetic::Div, &[x, two]).unwrap();
    let y = graph.add("y", Arithmetic::Div, &[half, x]).unwrap();
    graph.add_output("y", y);
    assert_eq!(conditions(&graph), [(y, "its divisor stays above zero, or stays below zero".to_string())]);
}
