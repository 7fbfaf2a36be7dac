//! What a client makes of opened outputs, and what their numbers say.

use cryptflow_athos::{Meaning, answer};
use cryptflow_graph::{Activation, Arithmetic, Array, Comparison, Function, Graph, Op, Order};
use cryptflow_program::OutputTransform;
use cryptflow_ring::Movement;

#[test]
fn the_meaning_of_numbers_is_that_of_the_operation_that_made_them() {
    let turn = || Movement::Transpose { permutation: vec![1, 0] };
    let reshape = |shape: &[usize]| Movement::Reshape { shape: shape.to_vec() };
    let top = |indices| Order::TopK { axis: 1, k: 2, largest: true, indices };
    // Operations one after another, on an input of shape [2, 3].
    let table: [(Vec<Op>, Meaning); 16] = [
        (vec![], Meaning::Numbers),
        (vec![Activation::Relu.into()], Meaning::Numbers),
        (vec![Function::TANH.into()], Meaning::Numbers),
        (vec![Function::SIGMOID.into()], Meaning::Probabilities),
        (vec![Function::hard_sigmoid(0.2, 0.5).into()], Meaning::Probabilities),
        (vec![Function::SIGMOID.into(), turn().into(), Op::Identity], Meaning::Probabilities),
        (vec![Function::SIGMOID.into(), Function::LOG.into()], Meaning::Numbers),
        (vec![Activation::Softmax.into()], Meaning::Distribution),
        (vec![Activation::Softmax.into(), reshape(&[1, 2, 3]).into()], Meaning::Distribution),
        // The classes of a row do not stand together any more.
        (vec![Activation::Softmax.into(), reshape(&[6]).into()], Meaning::Probabilities),
        (vec![Activation::Softmax.into(), turn().into()], Meaning::Probabilities),
        (vec![Activation::Softmax.into(), top(false).into()], Meaning::Probabilities),
        (vec![Activation::Softmax.into(), top(true).into()], Meaning::Indices),
        (vec![Order::ArgMax { axis: 1 }.into()], Meaning::Indices),
        (vec![Order::ArgMax { axis: 1 }.into(), reshape(&[2, 1]).into()], Meaning::Indices),
        (vec![top(false).into()], Meaning::Numbers),
    ];
    for (ops, meaning) in table {
        let mut graph = Graph::default();
        let mut x = graph.add_input("x", vec![2, 3]);
        for op in ops.clone() {
            x = graph.add("y", op, &[x]).unwrap();
        }
        graph.add_output("y", x);
        assert_eq!(Meaning::of_outputs(&graph), [meaning], "{ops:?}");
    }

    let mut graph = Graph::default();
    let [x, y] = ["x", "y"].map(|name| graph.add_input(name, vec![2, 3]));
    let larger = graph.add("larger", Arithmetic::Compare(Comparison::Greater), &[x, y]).unwrap();
    let sum = graph.add("sum", Arithmetic::Add, &[larger, y]).unwrap();
    graph.add_output("larger", larger);
    graph.add_output("sum", sum);
    assert_eq!(Meaning::of_outputs(&graph), [Meaning::Flags, Meaning::Numbers]);
}

#[test]
fn the_answer_is_what_the_model_goes_on_to() {
    let opened = || Array::new(vec![2, 3], vec![1.0, 3.0, 2.0, 6.0, 6.0, 4.0]).unwrap();
    let top_k = |largest, indices| Some(OutputTransform::TopK { axis: 1, k: 2, largest, indices });
    type Case = (Option<OutputTransform>, &'static [usize], &'static [f32]);
    let table: [Case; 6] = [
        (None, &[2, 3], &[1.0, 3.0, 2.0, 6.0, 6.0, 4.0]),
        (Some(OutputTransform::Class { of: 7 }), &[2, 3], &[1.0, 3.0, 2.0, 6.0, 6.0, 4.0]),
        (Some(OutputTransform::ArgMax), &[2], &[1.0, 0.0]),
        (top_k(true, false), &[2, 2], &[3.0, 2.0, 6.0, 6.0]),
        (top_k(true, true), &[2, 2], &[1.0, 2.0, 0.0, 1.0]),
        (top_k(false, true), &[2, 2], &[0.0, 2.0, 2.0, 0.0]),
    ];
    for (transform, shape, data) in table {
        let found = answer(transform, opened()).unwrap();
        assert_eq!((found.shape.as_slice(), found.data.as_slice()), (shape, data), "{transform:?}");
    }
    let found = answer(Some(OutputTransform::Softmax), opened()).unwrap();
    assert!(found.data.chunks(3).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6), "{found:?}");
    let wrong = OutputTransform::TopK { axis: 5, k: 1, largest: true, indices: true };
    assert!(answer(Some(wrong), opened()).is_err());
}
