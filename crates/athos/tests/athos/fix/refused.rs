//! What cannot be compiled: all of it, in one report.

use cryptflow_athos::compile::{Bounds, CompileError, CompileOptions, compile, unsupported};
use cryptflow_athos::fix::{FixError, Refusal};
use cryptflow_athos::functions::Undefined;
use cryptflow_graph::Range;
use cryptflow_graph::{Activation, Arithmetic, Array, Graph, Op, Order};

use crate::fix::executor::Naive;

#[test]
fn every_unsupported_node_is_named_once() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![2, 4]);
    let softmax = g.add("attention/softmax", Activation::Softmax, &[x]).unwrap();
    let product = g.add("gate", Arithmetic::Mul, &[x, x]).unwrap();
    let after = g.add("after", Activation::Relu, &[product]).unwrap();
    let inside = g.add("inside", Arithmetic::Add, &[softmax, x]).unwrap();
    let quotient = g.add("quotient", Arithmetic::Div, &[x, x]).unwrap();
    let sum = g.add("sum", Arithmetic::Add, &[after, inside]).unwrap();
    let sum = g.add("sum2", Arithmetic::Add, &[sum, quotient]).unwrap();
    let one = g.add_constant("one", Array::scalar(1.0));
    let inverse = g.add("inverse", Arithmetic::Div, &[one, x]).unwrap();
    let most = Op::Order(Order::TopK { axis: 1, k: 2, largest: true, indices: false });
    let mean = g.add("mean", most, &[x]).unwrap();
    let floor = g.add("of the largest", Activation::Relu, &[mean]).unwrap();
    g.add("dead", Arithmetic::Mul, &[x, x]).unwrap();
    for (name, id) in [("y", sum), ("z", inverse), ("i", floor)] {
        g.add_output(name, id);
    }
    let names = |nodes: &[cryptflow_athos::fix::Unsupported]| {
        nodes.iter().map(|n| (n.name.clone(), n.operation.clone())).collect::<Vec<_>>()
    };
    let expected = [("of the largest", "relu")].map(|(a, b)| (a.to_string(), b.to_string()));
    assert_eq!(names(&unsupported(&g)), expected);
    let bounds = || Bounds::Ranges(vec![Range { low: -1.0, high: 1.0 }]);
    let refusals = |g: &Graph| {
        let error =
            compile(g, bounds(), &CompileOptions::default(), &Naive::exact(), &mut |_| ()).unwrap_err();
        let CompileError::Fix(FixError::Unsupported(nodes)) = error else { panic!("{error}") };
        nodes
    };
    // With ranges there are more: a divisor may be zero.
    let expected = [("quotient", "div"), ("inverse", "div"), ("of the largest", "relu")]
        .map(|(a, b)| (a.to_string(), b.to_string()));
    let nodes = refusals(&g);
    assert_eq!(names(&nodes), expected);
    let texts: Vec<String> = nodes.iter().map(|n| n.reason.to_string()).collect();
    assert!(texts[0].contains("reciprocal is not defined at 0.0000"), "{texts:?}");
    assert!(texts[2].contains("it uses mean, a top-k inside the graph"), "{texts:?}");
    assert!(matches!(nodes[0].reason, Refusal::Undefined(Undefined::Outside { end: 0.0, .. })));
    assert!(matches!(nodes[2].reason, Refusal::Missing(_)));
}
