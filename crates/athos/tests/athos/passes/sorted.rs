//! The largest of several inside of a graph.

use cryptflow_athos::passes::{dead_nodes, sorted::run};
use cryptflow_graph::{Arithmetic, Array, Graph, Op, Order};

use super::harness;

#[test]
fn written_out_where_they_are_used() {
    for (shape, axis, k, largest) in [
        (vec![7], 0, 2, true),
        (vec![2, 5], 1, 5, false),
        (vec![3, 6, 2], 1, 3, true),
        (vec![4, 3], 0, 2, false),
    ] {
        for indices in [false, true] {
            let mut g = Graph::default();
            let x = g.add_input("x", shape.clone());
            let best = g.add("best", Order::TopK { axis, k, largest, indices }, &[x]).unwrap();
            let half = g.add_constant("half", Array::scalar(0.5));
            let y = g.add("y", Arithmetic::Mul, &[best, half]).unwrap();
            g.add_output("y", y);
            let report = harness::preserving(run, &mut g);
            assert_eq!((report.changes.len(), report.left.len()), (1, 0), "{report:?}");
            dead_nodes::run(&mut g);
            assert!(!g.nodes.iter().any(|n| matches!(n.op, Op::Order(_))), "{:?}", harness::operations(&g));
        }
    }
}

/// Of equal ones the first comes first, and values and places share their comparisons.
#[test]
fn equal_ones() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![2, 6]);
    let zero = g.add_constant("zero", Array::scalar(0.0));
    let x = g.add("low", Arithmetic::Minimum, &[x, zero]).unwrap();
    let of = |indices| Order::TopK { axis: 1, k: 4, largest: true, indices };
    let places = g.add("places", of(true), &[x]).unwrap();
    let values = g.add("values", of(false), &[x]).unwrap();
    let y = g.add("y", Arithmetic::Add, &[places, values]).unwrap();
    g.add_output("y", y);
    assert_eq!(harness::preserving(run, &mut g).changes.len(), 2);
    dead_nodes::run(&mut g);
    let compared = g.nodes.iter().filter(|n| matches!(n.op, Op::Arithmetic(Arithmetic::Compare(_))));
    assert_eq!(compared.count(), 2);
}

/// At an output the client sorts; and too many would be compared with each other.
#[test]
fn what_is_left() {
    for (n, used, left) in [(6, false, 0), (2000, true, 1)] {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![1, n]);
        let best = Order::TopK { axis: 1, k: 3, largest: true, indices: false };
        let best = g.add("best", best, &[x]).unwrap();
        g.add_output("best", best);
        if used {
            let y = g.add("y", Arithmetic::Add, &[best, best]).unwrap();
            g.add_output("y", y);
        }
        let report = harness::preserving(run, &mut g);
        assert_eq!((report.changes.len(), report.left.len()), (0, left), "{report:?}");
    }
}
