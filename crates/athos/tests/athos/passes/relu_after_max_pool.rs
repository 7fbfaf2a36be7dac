//! Which activations move behind a pool.

use cryptflow_athos::passes::{dead_nodes, relu_after_max_pool::run};
use cryptflow_graph::{Activation, Graph, Op, Pool, Pooling};
use cryptflow_ring::{Movement, Window};

use super::harness;

#[test]
fn only_where_the_relu_has_no_other_use() {
    let window = |stride: usize, padding: usize| Window {
        kernel: [2, 2],
        stride: [stride; 2],
        dilation: [1, 1],
        padding: [[padding; 2]; 2],
    };
    let table = [
        ("plain", Op::Activation(Activation::Relu), window(2, 0), false, true),
        ("clipped", Op::Activation(Activation::ClippedRelu { limit: 0.5 }), window(2, 0), false, true),
        ("padded", Op::Activation(Activation::Relu), window(2, 1), false, true),
        ("windows of padding", Op::Activation(Activation::Relu), window(2, 2), false, false),
        ("as many elements", Op::Activation(Activation::Relu), window(1, 1), false, false),
        ("another use", Op::Activation(Activation::Relu), window(2, 0), true, false),
    ];
    for (what, relu, window, used, moves) in table {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![1, 6, 6, 3]);
        let y = g.add("relu", relu.clone(), &[x]).unwrap();
        let z = g.add("pool", Pool { kind: Pooling::Max, window }, &[y]).unwrap();
        g.add_output("pool", z);
        if used {
            g.add_output("relu", y);
        }
        let report = harness::preserving(run, &mut g);
        assert_eq!(report.changes.len(), usize::from(moves), "{what}");
        assert_eq!(report.left.len(), usize::from(used), "{what}");
        dead_nodes::run(&mut g);
        let last = g.node(g.outputs[0]);
        assert_eq!((last.name.as_str(), last.op == relu), ("pool", moves), "{what}");
    }
}

/// ReLUs that are concatenated before a pool: one behind it, if all are alike and have no other use.
#[test]
fn several_become_one() {
    let relu = Op::Activation(Activation::Relu);
    let clipped = |limit| Op::Activation(Activation::ClippedRelu { limit });
    let table = [
        ("alike", relu.clone(), relu.clone(), None, true),
        ("clipped alike", clipped(0.5), clipped(0.5), None, true),
        ("clipped at other limits", clipped(0.5), clipped(0.25), None, false),
        ("of two kinds", relu.clone(), clipped(0.5), None, false),
        ("one is used", relu.clone(), relu.clone(), Some("right"), false),
        ("the concatenation is used", relu.clone(), relu, Some("both"), false),
    ];
    for (what, one, other, used, moves) in table {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![1, 6, 6, 3]);
        let y = g.add_input("y", vec![1, 6, 6, 2]);
        let left = g.add("left", one.clone(), &[x]).unwrap();
        let right = g.add("right", other, &[y]).unwrap();
        let both = g.add("both", Movement::Concat { axis: 3 }, &[left, right]).unwrap();
        let window = Window { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], padding: [[0; 2]; 2] };
        let pool = g.add("pool", Pool { kind: Pooling::Max, window }, &[both]).unwrap();
        g.add_output("pool", pool);
        for (name, id) in [("right", right), ("both", both)] {
            if used == Some(name) {
                g.add_output(name, id);
            }
        }
        let report = harness::preserving(run, &mut g);
        assert_eq!(report.changes.len(), usize::from(moves), "{what}");
        assert_eq!(report.left.len(), usize::from(used.is_some()), "{what}");
        dead_nodes::run(&mut g);
        let relus = g.nodes.iter().filter(|node| node.op == one).count();
        let last = g.node(g.outputs[0]);
        assert_eq!(
            (last.name.as_str(), last.op == one, relus == 1),
            ("pool", moves, moves || what == "of two kinds" || what == "clipped at other limits"),
            "{what}"
        );
    }
}
