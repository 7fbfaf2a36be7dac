//! Logarithms of a softmax, and what is none.

use cryptflow_athos::passes::{dead_nodes, log_softmax::run};
use cryptflow_graph::{Activation, Function, Graph, Op};
use cryptflow_ring::Movement;

use super::harness;

#[test]
fn the_logarithm_of_a_softmax() {
    let softmax = || Op::from(Activation::Softmax);
    let flat = || Op::from(Movement::Reshape { shape: vec![20] });
    let table: [(&str, Vec<Op>, &[&str]); 3] = [
        ("alone", vec![softmax(), Function::LOG.into()], &["exp", "log", "max", "sub", "sub", "sum"]),
        ("another function", vec![softmax(), Function::EXP.into()], &["exp", "softmax"]),
        (
            "with rows in between",
            vec![softmax(), flat(), Function::LOG.into()],
            &["log", "reshape", "softmax"],
        ),
    ];
    for (what, operations, expected) in table {
        let mut g = Graph::default();
        let mut y = g.add_input("x", vec![4, 5]);
        for (i, op) in operations.into_iter().enumerate() {
            y = g.add(format!("y{i}"), op, &[y]).unwrap();
        }
        g.add_output("y", y);
        harness::preserving(run, &mut g);
        dead_nodes::run(&mut g);
        let mut found = harness::operations(&g);
        found.sort_unstable();
        assert_eq!(found, expected, "{what}");
    }
}

/// A softmax that another node uses as well stays beside it.
#[test]
fn a_softmax_of_two_uses_stays() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![4, 5]);
    let softmax = g.add("softmax", Activation::Softmax, &[x]).unwrap();
    let log = g.add("log", Function::LOG, &[softmax]).unwrap();
    g.add_output("p", softmax);
    g.add_output("log p", log);
    harness::preserving(run, &mut g);
    assert!(harness::operations(&g).contains(&"softmax"));
}
