//! Which activations move behind a pool.

use cryptflow_athos::passes::{dead_nodes, relu_after_max_pool::run};
use cryptflow_graph::{Activation, Graph, Op, Pool, Pooling};
use cryptflow_ring::Window;

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
