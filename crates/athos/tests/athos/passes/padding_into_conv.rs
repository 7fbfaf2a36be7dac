//! Which paddings go into a window.

use cryptflow_athos::passes::padding_into_conv::run;
use cryptflow_graph::{Activation, Graph, Linear, Op, Pool, Pooling};
use cryptflow_ring::{Movement, Window};

use super::harness;

#[test]
fn only_where_it_is_exact() {
    let window = |padding: usize| Window {
        kernel: [3, 3],
        stride: [2, 2],
        dilation: [1, 1],
        padding: [[padding; 2]; 2],
    };
    let max = |p| Op::Pool(Pool { kind: Pooling::Max, window: window(p) });
    let average =
        |p, count_padding| Op::Pool(Pool { kind: Pooling::Average { count_padding }, window: window(p) });
    let space = [[0, 1, 2, 0], [0, 2, 0, 0]];
    let table = [
        ("conv", Op::Linear(Linear::Conv2d { window: window(1), groups: 1 }), space, false, true),
        ("sum", Op::Pool(Pool { kind: Pooling::Sum, window: window(1) }), space, false, true),
        ("average", average(0, false), space, false, true),
        ("average that counts its padding", average(1, true), space, false, true),
        ("average that does not", average(1, false), space, false, false),
        ("maximum behind a ReLU", max(0), space, true, true),
        ("maximum of anything", max(0), space, false, false),
        ("maximum with windows of zeros", max(0), [[0, 4, 0, 0], [0; 4]], true, false),
        ("channels", average(0, false), [[0, 0, 0, 1], [0; 4]], false, false),
    ];
    for (what, op, [before, after], relu, folds) in table {
        let mut g = Graph::default();
        let mut x = g.add_input("x", vec![1, 6, 7, 2]);
        if relu {
            x = g.add("relu", Activation::Relu, &[x]).unwrap();
        }
        let pad = Movement::Pad { before: before.to_vec(), after: after.to_vec() };
        let pad = g.add("pad", pad, &[x]).unwrap();
        let mut inputs = vec![pad];
        if matches!(op, Op::Linear(Linear::Conv2d { .. })) {
            inputs.push(g.add_constant("w", harness::Random(3).array(&[3, 3, 2, 4])));
        }
        let y = g.add("y", op, &inputs).unwrap();
        g.add_output("y", y);
        let report = harness::preserving(run, &mut g);
        assert_eq!(report.changes.len(), usize::from(folds), "{what}");
        assert_eq!(g.node(y).inputs[0], if folds { x } else { pad }, "{what}");
    }
}
