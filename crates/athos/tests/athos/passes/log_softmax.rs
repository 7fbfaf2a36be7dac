//! Logarithms of a softmax, and what is none.

use cryptflow_athos::passes::{dead_nodes, log_softmax::run};
use cryptflow_graph::{Activation, Arithmetic, Array, Function, Graph, Op};
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

/// What keeps the softmax from zero keeps its logarithm from falling lower.
#[test]
fn a_small_number_beside_the_softmax_keeps_its_meaning() {
    let kept: [(Op, bool, &str); 4] = [
        (Arithmetic::Add.into(), false, "softplus"),
        (Arithmetic::Add.into(), true, "softplus"),
        (Arithmetic::Maximum.into(), false, "maximum"),
        (Arithmetic::Sub.into(), false, "log"),
    ];
    for (op, first, expected) in kept {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![4, 5]);
        // Far enough apart that the smallest parts are smaller than the number.
        let apart = g.add_constant("apart", Array::scalar(12.0));
        let x = g.add("logits", Arithmetic::Mul, &[x, apart]).unwrap();
        let softmax = g.add("softmax", Activation::Softmax, &[x]).unwrap();
        let sign = if op == Op::from(Arithmetic::Sub) { -1.0 } else { 1.0 };
        let least = g.add_constant("least", Array::scalar(sign * 1e-4));
        let inputs = if first { [least, softmax] } else { [softmax, least] };
        let sum = g.add("kept", op.clone(), &inputs).unwrap();
        let y = g.add("y", Function::LOG, &[sum]).unwrap();
        g.add_output("y", y);
        harness::preserving(run, &mut g);
        dead_nodes::run(&mut g);
        let found = harness::operations(&g);
        let turned = expected != "log";
        assert!(found.contains(&expected) && found.contains(&"softmax") != turned, "{op:?}: {found:?}");
    }
}
