//! How far picks move, and what stays for others.

use cryptflow_athos::passes::{dead_nodes, pick_early::run};
use cryptflow_graph::{Activation, Arithmetic, Function, Graph, Linear, NodeId, Op, Reduce, Reduction};
use cryptflow_ring::Movement;

use super::harness::{self, Random};

/// An attention over five rows of four numbers, and what normalises its result.
fn attention(g: &mut Graph) -> NodeId {
    let mut r = Random(11);
    let x = g.add_input("x", vec![1, 5, 4]);
    let mut layer = |g: &mut Graph, name: &str, x: NodeId| {
        let w = g.add_constant(format!("{name}/w"), r.array(&[4, 4]));
        let b = g.add_constant(format!("{name}/b"), r.array(&[4]));
        g.add(name, Linear::MatMul { transpose_a: false, transpose_b: false }, &[x, w, b]).unwrap()
    };
    let mut heads = |g: &mut Graph, name: &str, x: NodeId| {
        let y = layer(g, name, x);
        let y = g.add(format!("{name}/heads"), Movement::Reshape { shape: vec![1, 5, 2, 2] }, &[y]).unwrap();
        g.add(format!("{name}/first"), Movement::Transpose { permutation: vec![0, 2, 1, 3] }, &[y]).unwrap()
    };
    let (q, k, v) = (heads(g, "q", x), heads(g, "k", x), heads(g, "v", x));
    let scores = Linear::MatMul { transpose_a: false, transpose_b: true };
    let scores = g.add("scores", scores, &[q, k]).unwrap();
    let softmax = g.add("softmax", Activation::Softmax, &[scores]).unwrap();
    let sums = Linear::MatMul { transpose_a: false, transpose_b: false };
    let sums = g.add("sums", sums, &[softmax, v]).unwrap();
    let back = g.add("back", Movement::Transpose { permutation: vec![0, 2, 1, 3] }, &[sums]).unwrap();
    let rows = g.add("rows", Movement::Reshape { shape: vec![1, 5, 4] }, &[back]).unwrap();
    let sum = g.add("sum", Arithmetic::Add, &[rows, x]).unwrap();
    let mean = Reduce { kind: Reduction::Mean, axes: vec![2], keep_dims: true };
    let mean = g.add("mean", mean, &[sum]).unwrap();
    let centred = g.add("centred", Arithmetic::Sub, &[sum, mean]).unwrap();
    let squares = g.add("squares", Arithmetic::Mul, &[centred, centred]).unwrap();
    g.add("gelu", Function::GELU, &[squares]).unwrap()
}

/// The rows that each of these nodes has.
fn rows(g: &Graph, names: &[&str]) -> Vec<usize> {
    let of =
        |name: &&str| g.nodes.iter().find(|n| n.name == *name).unwrap().shape.iter().product::<usize>() / 4;
    names.iter().map(of).collect()
}

#[test]
fn one_token_takes_one_row_of_the_last_layer() {
    let mut g = Graph::default();
    let y = attention(&mut g);
    let first = g.add("first", Movement::Gather { axis: 1, indices: vec![0] }, &[y]).unwrap();
    g.add_output("first", first);
    let report = harness::preserving(run, &mut g);
    assert!(!report.changes.is_empty());
    dead_nodes::run(&mut g);
    harness::check(&g);
    assert_eq!(rows(&g, &["q", "sums", "sum", "centred", "squares", "gelu"]), [1; 6]);
    assert_eq!(rows(&g, &["k", "v"]), [5; 2], "all rows are looked at");
}

#[test]
fn what_others_need_stays() {
    let mut g = Graph::default();
    let y = attention(&mut g);
    let slice = Movement::Slice { begin: vec![0, 1, 0], size: vec![1, 2, 4], stride: vec![1; 3] };
    let some = g.add("some", slice, &[y]).unwrap();
    g.add_output("some", some);
    let squares = NodeId(g.nodes.iter().position(|n| n.name == "squares").unwrap());
    g.add_output("squares", squares);
    harness::preserving(run, &mut g);
    dead_nodes::run(&mut g);
    assert_eq!(rows(&g, &["gelu"]), [2]);
    assert_eq!(rows(&g, &["squares", "sum"]), [5; 2]);
}

#[test]
fn rows_that_depend_on_each_other_are_not_taken_apart() {
    let along = |axis: usize| Movement::Gather { axis, indices: vec![1] };
    let table: [(&str, Op, usize); 4] = [
        ("a softmax along the axis", Activation::Softmax.into(), 1),
        ("columns of a product", Linear::MatMul { transpose_a: false, transpose_b: false }.into(), 1),
        ("a mean along the axis", Reduce { kind: Reduction::Mean, axes: vec![0], keep_dims: true }.into(), 1),
        ("other elements side by side", Movement::Reshape { shape: vec![2, 6] }.into(), 0),
    ];
    for (what, op, axis) in table {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![3, 4]);
        let inputs = match op {
            Op::Linear(_) => vec![x, g.add_constant("w", Random(3).array(&[4, 3]))],
            _ => vec![x],
        };
        let y = g.add("y", op, &inputs).unwrap();
        let z = g.add("z", along(axis), &[y]).unwrap();
        g.add_output("z", z);
        let report = harness::preserving(run, &mut g);
        // A mean keeps the axes that it is not over.
        assert_eq!(report.changes.is_empty(), what != "a mean along the axis", "{what}");
    }
}

#[test]
fn picks_at_the_end_of_random_graphs_change_nothing_else() {
    let mut changes = 0;
    for seed in 0..500 {
        let mut g = harness::random_graph(seed);
        let shape = g.node(g.outputs[0]).shape.clone();
        let axis = seed as usize % shape.len().max(1);
        let Some(&of) = shape.get(axis).filter(|&&of| of > 1) else { continue };
        let indices = vec![of - 1, 0].into_iter().take(of - 1).collect();
        let last = g.outputs[0];
        let pick = g.add("pick", Movement::Gather { axis, indices }, &[last]).unwrap();
        g.outputs[0] = pick;
        changes += harness::preserving(run, &mut g).changes.len();
    }
    assert!(changes > 100, "only {changes} changes in 500 graphs");
}
