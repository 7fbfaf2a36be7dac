//! Every form of a division by a square root.

use cryptflow_athos::passes::{dead_nodes, inverse_root::run};
use cryptflow_graph::{Arithmetic, Array, Function, Graph, NodeId, Op};

use super::harness;

#[test]
fn every_form() {
    type Form = fn(&mut Graph, NodeId) -> NodeId;
    let root = |g: &mut Graph, x| g.add("root", Function::SQRT, &[x]).unwrap();
    let table: [(&str, Form, &[&str]); 5] = [
        ("reciprocal", |g, r| g.add("y", Function::RECIPROCAL, &[r]).unwrap(), &["exp", "rsqrt"]),
        (
            "one over it",
            |g, r| {
                let one = g.add_constant("one", Array::scalar(1.0));
                g.add("y", Arithmetic::Div, &[one, r]).unwrap()
            },
            &["exp", "rsqrt"],
        ),
        (
            "a quotient",
            |g, r| g.add("y", Arithmetic::Div, &[NodeId(0), r]).unwrap(),
            &["exp", "mul", "rsqrt"],
        ),
        (
            "its own user",
            |g, r| g.add("y", Arithmetic::Div, &[r, NodeId(0)]).unwrap(),
            &["div", "exp", "sqrt"],
        ),
        (
            "a power",
            |g, _| {
                let op = Op::Function(Function::power(-0.5));
                g.add("y", op, &[NodeId(0)]).unwrap()
            },
            &["exp", "rsqrt"],
        ),
    ];
    for (what, form, operations) in table {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![2, 3]);
        let positive = g.add("positive", Function::EXP, &[x]).unwrap();
        let r = root(&mut g, positive);
        let y = form(&mut g, r);
        // A power of x itself is no number where x is negative.
        if what == "a power" {
            g.nodes[y.0].inputs = vec![positive];
        }
        g.add_output("y", y);
        harness::preserving(run, &mut g);
        dead_nodes::run(&mut g);
        let mut found = harness::operations(&g);
        found.sort_unstable();
        assert_eq!(found, operations, "{what}");
    }
}
