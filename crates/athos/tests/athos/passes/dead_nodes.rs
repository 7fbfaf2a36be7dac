//! What goes, and what stays.

use cryptflow_athos::passes::dead_nodes::run;
use cryptflow_graph::{Activation, Arithmetic, Array, Graph, NodeId};

#[test]
fn what_no_output_needs_goes() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![2]);
    let unused = g.add_input("unused", vec![2]);
    let a = g.add_constant("a", Array::scalar(1.0));
    let b = g.add("b", Arithmetic::Add, &[unused, a]).unwrap();
    g.add("c", Activation::Relu, &[b]).unwrap();
    let y = g.add("y", Activation::Relu, &[x]).unwrap();
    g.add_output("y", y);
    let report = run(&mut g);
    assert_eq!(report.changes.iter().map(|c| c.node.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(g.nodes.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(), ["x", "unused", "y"]);
    assert_eq!((g.inputs, g.outputs), (vec![NodeId(0), NodeId(1)], vec![NodeId(2)]));
}
