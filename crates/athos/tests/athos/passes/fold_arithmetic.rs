//! Which arithmetic a layer takes up.

use cryptflow_athos::passes::{dead_nodes, fold_arithmetic::run};
use cryptflow_graph::{Arithmetic, Array, Graph, Linear, Op};
use cryptflow_ring::Window;

use super::harness;

#[test]
fn a_bias_goes_into_the_layer() {
    let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [[0; 2]; 2] };
    let vector = || Array::vector(vec![1.0, 2.0, 3.0]);
    let table: [(&str, Op, Array, bool, bool); 7] = [
        ("bias", Op::Arithmetic(Arithmetic::Add), vector(), false, true),
        ("one number", Op::Arithmetic(Arithmetic::Mul), Array::scalar(2.0), false, true),
        ("constant first", Op::Arithmetic(Arithmetic::Sub), vector(), true, true),
        ("division", Op::Arithmetic(Arithmetic::Div), vector(), false, true),
        ("divided by the layer", Op::Arithmetic(Arithmetic::Div), vector(), true, false),
        (
            "with leading axes",
            Op::Arithmetic(Arithmetic::Add),
            Array::filled(vec![1, 1, 3], 2.0).unwrap(),
            false,
            true,
        ),
        (
            "one a column",
            Op::Arithmetic(Arithmetic::Add),
            Array::filled(vec![4, 1], 2.0).unwrap(),
            false,
            false,
        ),
    ];
    for (what, op, constant, first, folds) in table {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![1, 4, 4, 2]);
        let w = g.add_constant("w", Array::filled(vec![1, 1, 2, 3], 0.5).unwrap());
        let y = g.add("conv", Linear::Conv2d { window: window.clone(), groups: 1 }, &[x, w]).unwrap();
        let c = g.add_constant("c", constant);
        let z = g.add("z", op, &if first { [c, y] } else { [y, c] }).unwrap();
        g.add_output("z", z);
        let report = harness::preserving(run, &mut g);
        assert_eq!(!report.changes.is_empty(), folds, "{what}");
        dead_nodes::run(&mut g);
        assert_eq!(g.nodes.len(), if folds { 4 } else { 5 }, "{what}");
        assert_eq!(g.node(g.outputs[0]).name, "z");
    }
}
