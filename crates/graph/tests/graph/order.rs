//! The order of nodes, and the elements of arrays.

use cryptflow_graph::{Activation, Arithmetic, Array, Graph, NodeId};

fn names(g: &Graph) -> Vec<&str> {
    g.nodes.iter().map(|n| n.name.as_str()).collect()
}

#[test]
fn order_is_restored_by_moving_few_nodes() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![2]);
    let a = g.add("a", Activation::Relu, &[x]).unwrap();
    let b = g.add("b", Activation::Relu, &[a]).unwrap();
    g.add_output("b", b);
    // A pass puts a constant, and a node that uses it, before b.
    let c = g.add_constant("c", Array::scalar(1.0));
    let d = g.add("d", Arithmetic::Add, &[a, c]).unwrap();
    g.nodes[b.0].inputs = vec![d];
    g.restore_order();
    assert_eq!(names(&g), ["x", "a", "c", "d", "b"]);
    assert_eq!((g.inputs.as_slice(), g.outputs.as_slice()), (&[NodeId(0)][..], &[NodeId(4)][..]));
    assert!(g.nodes.iter().enumerate().all(|(i, n)| n.inputs.iter().all(|o| o.0 < i)));
}

#[test]
fn last_uses() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![2]);
    let a = g.add("a", Activation::Relu, &[x]).unwrap();
    let b = g.add("b", Arithmetic::Add, &[a, x]).unwrap();
    let unused = g.add("unused", Activation::Relu, &[b]).unwrap();
    let c = g.add("c", Arithmetic::Add, &[b, b]).unwrap();
    g.add_output("c", c);
    g.add_output("a", a);
    assert_eq!(g.last_uses(), [vec![], vec![], vec![x], vec![unused], vec![b]]);
    assert_eq!(g.uses()[b.0], [unused, c, c]);
}

#[test]
fn arrays_have_as_many_elements_as_their_shape() {
    assert!(Array::new(vec![2, 3], vec![0.0; 6]).is_ok());
    let error = Array::new(vec![2, 3], vec![0.0; 5]).unwrap_err();
    assert_eq!(error.to_string(), "the shape [2, 3] does not have 5 elements");
    Array::new(vec![usize::MAX, 2], vec![]).unwrap_err();
}
