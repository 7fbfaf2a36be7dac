//! Averages become a part of the convolution before them only where that is exact and cheaper.

use cryptflow_athos::passes::average_into_conv::run;
use cryptflow_graph::{Graph, Linear, Op, Pool, Pooling};
use cryptflow_ring::Window;

use super::harness;

#[test]
fn only_where_it_is_exact_and_cheaper() {
    let window = |kernel: usize, stride: usize, padding: usize| Window {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1, 1],
        padding: [[padding; 2]; 2],
    };
    let single = || window(1, 1, 0);
    let average = |w: Window| Op::Pool(Pool { kind: Pooling::Average { count_padding: true }, window: w });
    let table = [
        ("a transition", single(), 1, average(window(2, 2, 0)), false, true),
        ("in groups", single(), 2, average(window(2, 2, 0)), false, true),
        ("a sum", single(), 1, Op::Pool(Pool { kind: Pooling::Sum, window: window(2, 3, 0) }), false, true),
        ("more products", single(), 1, average(window(3, 1, 0)), false, false),
        ("padding", single(), 1, average(window(2, 2, 1)), false, false),
        ("a wider convolution", window(3, 1, 1), 1, average(window(2, 2, 0)), false, false),
        ("a stride", window(1, 2, 0), 1, average(window(2, 2, 0)), false, false),
        ("another use", single(), 1, average(window(2, 2, 0)), true, false),
    ];
    for (what, conv, groups, pool, used, folds) in table {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![2, 6, 7, 4]);
        let mut random = harness::Random(11);
        let w = g.add_constant("w", random.array(&[conv.kernel[0], conv.kernel[1], 4 / groups, 6]));
        let b = g.add_constant("b", random.array(&[6]));
        let y = g.add("conv", Linear::Conv2d { window: conv, groups }, &[x, w, b]).unwrap();
        let z = g.add("pool", pool, &[y]).unwrap();
        g.add_output("pool", z);
        if used {
            g.add_output("conv", y);
        }
        let report = harness::preserving(run, &mut g);
        assert_eq!(report.changes.len(), usize::from(folds), "{what}");
        let last = g.node(g.outputs[0]);
        assert_eq!((last.name.as_str(), last.op.name() == "conv"), ("pool", folds), "{what}");
    }
}
