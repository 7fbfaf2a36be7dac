//! Answers alone: what the parties compute in the client's place, so that logits stay shared.

use cryptflow_athos::compile::{Bounds, CompileError, CompileOptions, compile};
use cryptflow_athos::fix::{FixError, FixedRunner};
use cryptflow_graph::Range;
use cryptflow_graph::{Activation, Arithmetic, Array, Graph, Linear, Op, Order, float};
use cryptflow_program::{OutputTransform, validate};

use crate::fix::executor::Naive;
use crate::fix::graphs::{Builder, Random};
use crate::fix::small::encoded;

/// A dense layer with an operation behind it.
fn graph(op: Op) -> Graph {
    let mut b = Builder::new(77);
    let x = b.input(&[3, 6]);
    let y = b.dense(x, 6, 5);
    let y = b.add(op, &[y]);
    b.output(y)
}

fn options() -> CompileOptions {
    CompileOptions { hide_logits: true, ..CompileOptions::default() }
}

#[test]
fn answers_are_those_of_the_float_model() {
    let first = |axis, largest, indices| Op::Order(Order::TopK { axis, k: 1, largest, indices });
    let class = |of| Some(OutputTransform::Class { of });
    // What ends the model, what the client is told, and the largest error in real numbers.
    let table = [
        (Op::Order(Order::ArgMax { axis: 1 }), class(5), 0.0),
        (Op::Order(Order::ArgMax { axis: 0 }), class(3), 0.0),
        (first(1, false, true), class(5), 0.0),
        (first(0, true, false), None, 0.02),
        (Op::Activation(Activation::Softmax), None, 0.02),
    ];
    for (op, transform, allowed) in table {
        let graph = graph(op.clone());
        let mut random = Random(5);
        let mut example = || vec![random.array(&[3, 6], -1.0, 1.0)];
        let bounds = Bounds::Examples((0..40).map(|_| example()).collect());
        let model = compile(&graph, bounds, &options(), &Naive::exact(), &mut |_| ()).unwrap();
        validate(model.program.clone().into_program()).unwrap();
        let output = &model.program.outputs[0];
        assert_eq!(output.transform, transform, "{op:?}");
        assert!(model.report.warnings.iter().all(|w| !w.contains("logits")), "{:?}", model.report.warnings);
        // Steps that cannot leave their bounds have no margin to lose; the layer keeps what 40
        // examples get.
        assert!(model.report.thinnest().iter().all(|&(_, m)| m >= 1.0), "{:?}", model.report.thinnest());
        for seed in 0..20 {
            let example = example();
            let float = float::run(&graph, &example, &mut |_, _| ()).unwrap().remove(0);
            let inputs = encoded(&model.program, &example);
            let found =
                Naive::noisy(seed).run(&model.program, &model.weights, &inputs, &mut |_, _| ()).unwrap();
            assert_eq!(model.program.values[output.value.0].shape, float.shape, "{op:?}");
            let unit = f64::from(model.program.scale_of(output.value)).exp2();
            for (&found, &float) in found[0].iter().zip(float.data.iter()) {
                let far = (found as f64 / unit - f64::from(float)).abs();
                assert!(far <= allowed, "{op:?}: {} instead of {float}", found as f64 / unit);
            }
        }
    }
}

#[test]
fn what_cannot_be_hidden_is_refused() {
    let graph = graph(Op::Order(Order::TopK { axis: 1, k: 2, largest: true, indices: true }));
    let bounds = Bounds::Ranges(vec![Range { low: -1.0, high: 1.0 }]);
    let error = compile(&graph, bounds, &options(), &Naive::exact(), &mut |_| ()).unwrap_err();
    let CompileError::Fix(FixError::Unsupported(nodes)) = error else { panic!("{error}") };
    assert_eq!(nodes.len(), 1);
    let reason = nodes[0].reason.to_string();
    assert!(reason.contains("its logits cannot be hidden"), "{reason}");
}

#[test]
fn worst_cases_too() {
    let graph = graph(Op::Order(Order::ArgMax { axis: 1 }));
    let bounds = Bounds::Ranges(vec![Range { low: -1.0, high: 1.0 }]);
    let model = compile(&graph, bounds, &options(), &Naive::exact(), &mut |_| ()).unwrap();
    assert_eq!(model.program.outputs[0].transform, Some(OutputTransform::Class { of: 5 }));
    validate(model.program.clone().into_program()).unwrap();
}

/// The scale is found on the logits, and as fine as the answers need, which the parties round as well.
#[test]
fn hidden_answers_agree_as_the_report_says() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![1, 6]);
    let w = g.add_constant("w", Random(3).array(&[6, 4], -1.0, 1.0));
    let y = g.add("y", Linear::MatMul { transpose_a: false, transpose_b: false }, &[x, w]).unwrap();
    let steep = g.add_constant("steep", Array::scalar(9.0));
    let logits = g.add("logits", Arithmetic::Mul, &[y, steep]).unwrap();
    let probabilities = g.add("probabilities", Activation::Softmax, &[logits]).unwrap();
    g.add_output("probabilities", probabilities);
    let mut random = Random(4);
    let shown = Bounds::Examples((0..64).map(|_| vec![random.array(&[1, 6], -2.0, 2.0)]).collect());
    let options = CompileOptions { hide_logits: true, ..CompileOptions::default() };
    let model = compile(&g, shown, &options, &Naive::noisy(5), &mut |_| ()).unwrap();
    let agreement = model.report.agreement.unwrap();
    assert!(agreement.largest_error <= agreement.tolerance, "{agreement:?}");
}
