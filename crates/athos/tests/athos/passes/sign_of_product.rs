//! Products that are compared with zero, and those that are not.

use cryptflow_athos::passes::{dead_nodes, sign_of_product::run};
use cryptflow_graph::{Arithmetic, Array, Comparison, Function, Graph, NodeId};

use super::harness;

#[test]
fn the_sign_of_a_product_is_made_of_its_factors_signs() {
    type Form = fn(&mut Graph, NodeId, NodeId) -> NodeId;
    let mul = |g: &mut Graph, a, b| g.add("product", Arithmetic::Mul, &[a, b]).unwrap();
    let compared: [(&str, Form, bool); 5] = [
        (
            "less than zero",
            |g, p, _| {
                let zero = g.add_constant("zero", Array::scalar(0.0));
                g.add("y", Arithmetic::Compare(Comparison::Less), &[p, zero]).unwrap()
            },
            true,
        ),
        (
            "zero is less",
            |g, p, _| {
                let zero = g.add_constant("zero", Array::scalar(0.0));
                g.add("y", Arithmetic::Compare(Comparison::LessEqual), &[zero, p]).unwrap()
            },
            true,
        ),
        ("its sign", |g, p, _| g.add("y", Function::SIGN, &[p]).unwrap(), true),
        (
            "less than one",
            |g, p, _| {
                let one = g.add_constant("one", Array::scalar(1.0));
                g.add("y", Arithmetic::Compare(Comparison::Less), &[p, one]).unwrap()
            },
            false,
        ),
        (
            "less than another value",
            |g, p, x| g.add("y", Arithmetic::Compare(Comparison::Less), &[p, x]).unwrap(),
            false,
        ),
    ];
    for (what, form, signs) in compared {
        let mut g = Graph::default();
        let (a, b) = (g.add_input("a", vec![2, 3]), g.add_input("b", vec![2, 3]));
        let product = mul(&mut g, a, b);
        let y = form(&mut g, product, a);
        g.add_output("y", y);
        harness::preserving(run, &mut g);
        dead_nodes::run(&mut g);
        let found = harness::operations(&g).iter().filter(|name| **name == "sign").count();
        let own = usize::from(what == "its sign");
        assert_eq!(found, if signs { 2 + own } else { 0 }, "{what}");
        // Signs of signs are none.
        assert!(run(&mut g).changes.is_empty(), "{what}");
    }
}

#[test]
fn a_product_with_what_the_model_knows_is_left() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![2, 3]);
    let [c, zero] = [2.0, 0.0].map(|v| g.add_constant(format!("{v}"), Array::scalar(v)));
    let product = g.add("product", Arithmetic::Mul, &[x, c]).unwrap();
    let y = g.add("y", Arithmetic::Compare(Comparison::Less), &[product, zero]).unwrap();
    g.add_output("y", y);
    assert!(run(&mut g).changes.is_empty());
}
