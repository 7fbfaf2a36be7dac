//! What cannot be compiled: all of it, in one report.

use cryptflow_athos::compile::{Bounds, CompileError, CompileOptions, compile, unsupported};
use cryptflow_athos::fix::{FixError, Refusal};
use cryptflow_athos::functions::Undefined;
use cryptflow_graph::Range;
use cryptflow_graph::{Activation, Arithmetic, Array, Function, Graph, Op, Order};

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
    // Written out by the passes, which did not run here.
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

/// Bounds of a function's operand that are as large as integers get: an error, and no overflow on the way.
#[test]
fn bounds_that_no_ring_holds() {
    let mut g = Graph::default();
    let mut x = g.add_input("x", vec![1, 4]);
    for i in 0..3 {
        let large = g.add_constant(format!("large_{i}"), Array::scalar(3e8));
        x = g.add(format!("scaled_{i}"), Arithmetic::Mul, &[x, large]).unwrap();
        x = g.add(format!("relu_{i}"), Activation::Relu, &[x]).unwrap();
    }
    let y = g.add("y", Function::SIGMOID, &[x]).unwrap();
    g.add_output("y", y);
    let bounds = Bounds::Ranges(vec![Range { low: -1.0, high: 1.0 }]);
    let compiled = compile(&g, bounds, &CompileOptions::default(), &Naive::exact(), &mut |_| ());
    assert!(matches!(compiled, Err(CompileError::Fix(_))));
}

/// Nothing stands for infinity where it means a value; the node is named, with or without examples.
#[test]
fn endless_constants() {
    type Build = fn(&mut Graph, cryptflow_graph::NodeId, cryptflow_graph::NodeId) -> cryptflow_graph::NodeId;
    let table: [(f32, Build); 5] = [
        (f32::NEG_INFINITY, |g, x, c| g.add("wrong", Arithmetic::Add, &[x, c]).unwrap()),
        (f32::MIN, |g, x, c| g.add("wrong", Arithmetic::Mul, &[x, c]).unwrap()),
        (1e30, |g, x, c| g.add("wrong", Arithmetic::Maximum, &[x, c]).unwrap()),
        (f32::NAN, |g, x, c| g.add("wrong", Arithmetic::Sub, &[c, x]).unwrap()),
        (f32::INFINITY, |g, x, c| {
            let condition = g.add_constant("condition", Array::vector(vec![1.0, 0.0, 1.0, 0.0]));
            g.add("wrong", Arithmetic::Select, &[condition, x, c]).unwrap()
        }),
    ];
    for (number, build) in table {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![2, 4]);
        let c = g.add_constant("c", Array::scalar(number));
        let y = build(&mut g, x, c);
        g.add_output("y", y);
        cryptflow_athos::passes::optimise(&mut g);
        let refused = unsupported(&g);
        let [only] = refused.as_slice() else { panic!("{number}: {refused:?}") };
        assert_eq!(only.name, "wrong");
        assert!(only.reason.to_string().contains(&format!("constant {number:e} is too large")), "{only:?}");
    }
}
