//! Inputs of ids: tables that they are looked up in, and what else is computed of them.

use cryptflow_athos::compile::{Bounds, CompileOptions, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_graph::{Arithmetic, Array, Comparison, Graph, Linear, Order, float};

use crate::fix::executor::Naive;
use crate::fix::graphs::Random;

const IDS: usize = 4;
const MATRIX_PRODUCT: Linear = Linear::MatMul { transpose_a: false, transpose_b: false };

/// Two look-ups in tables of different length, and the ids themselves: where one is a padding, and their sum.
fn graph() -> Graph {
    let mut g = Graph::default();
    let ids = g.add_integer_input("ids", vec![1, IDS]);
    let mut random = Random(3);
    let mut sums = Vec::new();
    for (name, classes) in [("words", 9), ("few", 5)] {
        let rows = g.add(format!("{name}/rows"), Order::OneHot { classes }, &[ids]).unwrap();
        let table = g.add_constant(format!("{name}/table"), random.array(&[classes, 3], -2.0, 2.0));
        let lead = g.add(format!("{name}/flat"), reshape(&[IDS, classes]), &[rows]).unwrap();
        sums.push(g.add(name, MATRIX_PRODUCT, &[lead, table]).unwrap());
    }
    let both = g.add("both", Arithmetic::Add, &[sums[0], sums[1]]).unwrap();
    let zero = g.add_constant("zero", Array::scalar(0.0));
    let given = g.add("given", Arithmetic::Compare(Comparison::NotEqual), &[ids, zero]).unwrap();
    let column = g.add("column", reshape(&[IDS, 1]), &[given]).unwrap();
    let masked = g.add("masked", Arithmetic::Mul, &[both, column]).unwrap();
    g.add_output("masked", masked);
    let half = g.add_constant("half", Array::scalar(0.5));
    let numbers = g.add("numbers", Arithmetic::Mul, &[ids, half]).unwrap();
    g.add_output("numbers", numbers);
    g
}

fn reshape(shape: &[usize]) -> cryptflow_ring::Movement {
    cryptflow_ring::Movement::Reshape { shape: shape.to_vec() }
}

#[test]
fn ids_are_given_as_rows_and_looked_up() {
    let graph = graph();
    let row = |start: usize| {
        let ids = (0..IDS).map(|i| ((start * 7 + i * i * 3 + start * i) % 9) as f32).collect();
        vec![Array::new(vec![1, IDS], ids).unwrap()]
    };
    let examples: Vec<Vec<Array>> = (0..40).map(row).collect();
    let options = CompileOptions::default();
    let model =
        compile(&graph, Bounds::Examples(examples.clone()), &options, &Naive::noisy(2), &mut |_| ()).unwrap();
    let input = &model.program.inputs[0];
    assert_eq!((input.classes, input.low, input.high), (Some(9), 0.0, 8.0));
    assert_eq!(input.given_shape(&model.program), Some(&[1, IDS][..]));
    assert_eq!(model.program.values[0].shape, [1, IDS, 9]);
    for example in examples {
        let want = float::run(&graph, &example, &mut |_, _| ()).unwrap();
        let given = [input.integers(&example[0].data, 0)];
        let found = Naive::noisy(3).run(&model.program, &model.weights, &given, &mut |_, _| ()).unwrap();
        for ((output, found), want) in model.program.outputs.iter().zip(found).zip(want) {
            let unit = f64::from(model.program.scale_of(output.value)).exp2();
            for (found, want) in found.iter().zip(want.data.iter()) {
                let found = *found as f64 / unit;
                assert!((found - f64::from(*want)).abs() < 0.01, "{}: {found}, not {want}", output.name);
            }
        }
    }
}

#[test]
fn ids_that_are_computed_have_no_rows_of_the_clients() {
    let mut g = Graph::default();
    let ids = g.add_integer_input("ids", vec![1, IDS]);
    let twice = g.add("twice", Arithmetic::Add, &[ids, ids]).unwrap();
    let rows = g.add("rows", Order::OneHot { classes: 3 }, &[twice]).unwrap();
    g.add_output("rows", rows);
    let refused = cryptflow_athos::compile::unsupported(&g);
    let reasons: Vec<String> = refused.iter().map(|node| node.reason.to_string()).collect();
    assert!(reasons.len() == 1 && reasons[0].contains("no input of the model"), "{reasons:?}");
}
