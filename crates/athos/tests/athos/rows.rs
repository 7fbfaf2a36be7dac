//! Rows are rows where none of them reaches another one's answer.

use cryptflow_athos::rows::{FirstAxis, first_axis};
use cryptflow_graph::{Activation, Arithmetic, Array, Graph, Linear, NodeId, Reduce, Reduction};
use cryptflow_ring::Movement;

/// A graph of one input `x` of shape `[rows, 3]`, and what it makes of it.
fn graph(rows: usize, make: impl FnOnce(&mut Graph, NodeId) -> NodeId) -> Graph {
    let mut graph = Graph::default();
    let x = graph.add_input("x", vec![rows, 3]);
    let y = make(&mut graph, x);
    graph.outputs = vec![y];
    graph.output_names = vec!["y".into()];
    graph
}

fn mean(graph: &mut Graph, x: NodeId, axis: usize) -> NodeId {
    let op = Reduce { kind: Reduction::Mean, axes: vec![axis], keep_dims: true };
    graph.add("mean", op, &[x]).unwrap()
}

#[test]
fn rows_that_stand_alone_are_rows() {
    for rows in [1, 2, 7] {
        let dense = graph(rows, |g, x| {
            let w = g
                .add_constant("w", Array::new(vec![3, 3], (0..9).map(|i| i as f32 - 4.0).collect()).unwrap());
            let h = g.add("h", Linear::MatMul { transpose_a: false, transpose_b: false }, &[x, w]).unwrap();
            let h = g.add("relu", Activation::Relu, &[h]).unwrap();
            let m = mean(g, h, 1);
            g.add("y", Arithmetic::Sub, &[h, m]).unwrap()
        });
        assert_eq!(first_axis(&dense), FirstAxis::Rows, "{rows}");
        // There and back: the axis of rows may be anywhere in between.
        let turned = graph(rows, |g, x| {
            let turn = || Movement::Transpose { permutation: vec![1, 0] };
            let t = g.add("t", turn(), &[x]).unwrap();
            let t = g.add("relu", Activation::Relu, &[t]).unwrap();
            g.add("y", turn(), &[t]).unwrap()
        });
        assert_eq!(first_axis(&turned), FirstAxis::Rows, "{rows}");
    }
}

#[test]
fn rows_that_reach_each_other_are_found() {
    let centred = graph(7, |g, x| {
        let m = mean(g, x, 0);
        g.add("y", Arithmetic::Sub, &[x, m]).unwrap()
    });
    assert_eq!(first_axis(&centred), FirstAxis::Mixed { node: "y".into() });
    // One answer for all rows.
    let summed = graph(20, |g, x| mean(g, x, 0));
    assert!(matches!(first_axis(&summed), FirstAxis::Mixed { .. }));
    // Of a single row, nothing can be seen.
    assert_eq!(first_axis(&graph(1, |g, x| mean(g, x, 0))), FirstAxis::Rows);
}
