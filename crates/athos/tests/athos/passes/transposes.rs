//! How far transposes move.

use cryptflow_athos::passes::{optimise, transposes::run};
use cryptflow_graph::{Activation, Arithmetic, Function, Graph, Linear, Op, Order, Reduce, Reduction};
use cryptflow_ring::{Movement, Window};

use super::harness;

fn order(permutation: &[usize]) -> Op {
    Op::Movement(Movement::Transpose { permutation: permutation.to_vec() })
}

fn transposes(graph: &Graph) -> usize {
    graph.nodes.iter().filter(|n| matches!(n.op, Op::Movement(Movement::Transpose { .. }))).count()
}

const LAST: [usize; 4] = [0, 2, 3, 1];
const FIRST: [usize; 4] = [0, 3, 1, 2];

/// What each operation between two layers leaves: the transpose at the input, and those that it
/// keeps.
#[test]
fn moves_behind_what_it_can() {
    let pad = Movement::Pad { before: vec![0, 0, 1, 2], after: vec![0, 1, 0, 1] };
    let slice =
        Movement::Slice { begin: vec![0, 1, 4, 0], size: vec![2, 2, 3, 2], stride: vec![1, 1, -1, 2] };
    let mean = |axes: &[usize], keep_dims| {
        Op::Reduce(Reduce { kind: Reduction::Mean, axes: axes.to_vec(), keep_dims })
    };
    let table: Vec<(&str, Op, Vec<Vec<usize>>, usize)> = vec![
        ("relu", Op::Activation(Activation::Relu), vec![], 0),
        ("function", Op::Function(Function::ABS), vec![], 0),
        ("sum with itself", Op::Arithmetic(Arithmetic::Add), vec![vec![0]], 0),
        ("bias", Op::Arithmetic(Arithmetic::Add), vec![vec![3, 1, 1]], 0),
        ("picture", Op::Arithmetic(Arithmetic::Mul), vec![vec![2, 3, 5, 6]], 0),
        ("row", Op::Arithmetic(Arithmetic::Sub), vec![vec![6]], 0),
        ("number", Op::Arithmetic(Arithmetic::Maximum), vec![vec![]], 0),
        ("concatenation", Op::Movement(Movement::Concat { axis: 1 }), vec![vec![2, 1, 5, 6]], 0),
        ("pad", Op::Movement(pad), vec![], 0),
        ("slice", Op::Movement(slice), vec![], 0),
        ("gathering", Op::Movement(Movement::Gather { axis: 2, indices: vec![4, 0, 0] }), vec![], 0),
        ("mean, kept", mean(&[2, 3], true), vec![], 0),
        ("mean of channels", mean(&[1], true), vec![], 0),
        ("softmax along rows", Op::Activation(Activation::Softmax), vec![], 2),
    ];
    for (what, op, constants, left) in table {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![2, 5, 6, 3]);
        let first = g.add("first", order(&FIRST), &[x]).unwrap();
        let mut inputs = vec![first];
        for (i, shape) in constants.iter().enumerate() {
            inputs.push(if *shape == [0] {
                first
            } else {
                g.add_constant(format!("c{i}"), harness::Random(i as u64).array(shape))
            });
        }
        let y = g.add("y", op, &inputs).unwrap();
        let last = g.add("last", order(&LAST), &[y]).unwrap();
        g.add_output("last", last);
        harness::preserving(run, &mut g);
        harness::preserving(optimise, &mut g);
        assert_eq!(transposes(&g), left, "{what}");
    }
}

#[test]
fn reductions_that_drop_axes_need_no_transpose() {
    for (op, left) in [
        (Op::Reduce(Reduce { kind: Reduction::Mean, axes: vec![2, 3], keep_dims: false }), 0),
        (Op::Reduce(Reduce { kind: Reduction::Sum, axes: vec![1], keep_dims: false }), 0),
        (Op::Reduce(Reduce { kind: Reduction::Max, axes: vec![0, 1], keep_dims: false }), 0),
        (Op::Reduce(Reduce { kind: Reduction::Min, axes: vec![2], keep_dims: false }), 1),
        (Op::Order(Order::ArgMax { axis: 1 }), 0),
    ] {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![2, 5, 6, 3]);
        let first = g.add("first", order(&FIRST), &[x]).unwrap();
        let y = g.add("y", op.clone(), &[first]).unwrap();
        g.add_output("y", y);
        harness::preserving(optimise, &mut g);
        assert_eq!(transposes(&g), left, "{op:?}");
    }
}

/// A residual block with channels first, whose input is used by a layer and by the shortcut.
#[test]
fn a_block_keeps_the_transpose_at_its_input() {
    let mut g = Graph::default();
    let mut x = g.add_input("x", vec![1, 4, 6, 6]);
    for block in 0..2 {
        let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [[0; 2]; 2] };
        let a = g.add(format!("in_{block}"), order(&LAST), &[x]).unwrap();
        let w = g.add_constant(format!("w_{block}"), harness::Random(block).array(&[1, 1, 4, 4]));
        let y = g.add(format!("conv_{block}"), Linear::Conv2d { window, groups: 1 }, &[a, w]).unwrap();
        let y = g.add(format!("out_{block}"), order(&FIRST), &[y]).unwrap();
        let y = g.add(format!("relu_{block}"), Activation::Relu, &[y]).unwrap();
        x = g.add(format!("sum_{block}"), Arithmetic::Add, &[x, y]).unwrap();
    }
    let mean =
        g.add("mean", Reduce { kind: Reduction::Mean, axes: vec![2, 3], keep_dims: true }, &[x]).unwrap();
    let flat = g.add("flat", Movement::Reshape { shape: vec![1, 4] }, &[mean]).unwrap();
    g.add_output("flat", flat);
    harness::preserving(optimise, &mut g);
    assert_eq!(transposes(&g), 1);
}

/// What is added to its own transpose keeps it: the one would take the other's place for ever.
#[test]
fn what_meets_its_own_transpose_stays() {
    for swapped in [false, true] {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![2, 3, 3]);
        let turned = g.add("turned", order(&[0, 2, 1]), &[x]).unwrap();
        let operands = if swapped { [turned, x] } else { [x, turned] };
        let y = g.add("y", Arithmetic::Add, &operands).unwrap();
        let y = g.add("z", Function::TANH, &[y]).unwrap();
        g.add_output("z", y);
        optimise(&mut g);
        assert_eq!(transposes(&g), 1);
    }
}
