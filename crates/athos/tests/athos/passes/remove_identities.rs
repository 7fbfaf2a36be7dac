//! What moves nothing goes, and names of outputs stay.

use cryptflow_athos::passes::{dead_nodes, remove_identities::run};
use cryptflow_graph::{Activation, Graph, NodeId, Op};
use cryptflow_ring::Movement;

#[test]
fn names_of_outputs_stay() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![1, 2, 3, 4]);
    let transpose = |p: [usize; 4]| Op::Movement(Movement::Transpose { permutation: p.to_vec() });
    let a = g.add("a", transpose([0, 3, 1, 2]), &[x]).unwrap();
    let b = g.add("b", transpose([0, 2, 3, 1]), &[a]).unwrap();
    let c = g.add("c", Activation::Relu, &[b]).unwrap();
    let d = g.add("d", Op::Identity, &[c]).unwrap();
    let e = g.add("e", Op::Identity, &[d]).unwrap();
    g.add_output("e", e);
    let report = run(&mut g);
    let names: Vec<&str> = report.changes.iter().map(|c| c.node.as_str()).collect();
    assert_eq!(names, ["b", "b", "d", "e"]);
    dead_nodes::run(&mut g);
    assert_eq!(g.nodes.len(), 2);
    assert_eq!((g.outputs.as_slice(), g.output_names.as_slice()), (&[NodeId(1)][..], &["e".to_owned()][..]));
    assert_eq!(run(&mut g).changes, []);
}
