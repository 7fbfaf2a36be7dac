//! What the report says of errors is what runs show: rounding is random, and a single run says little
//! where a few numbers decide.

use cryptflow_athos::compile::{Bounds, CompileOptions, Compiled, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_graph::{Array, Function, Graph, Linear, Reduce, Reduction, float};

use crate::fix::executor::Naive;
use crate::fix::graphs::Random;
use crate::fix::small::{encoded, examples};

/// An exponential of a layer: the largest numbers of all examples have by far the largest errors.
fn prices() -> Graph {
    let mut graph = Graph::default();
    let x = graph.add_input("x", vec![1, 8]);
    let w = graph.add_constant("w", Random(3).array(&[8, 8], -1.5, 1.5));
    let product = Linear::MatMul { transpose_a: false, transpose_b: false };
    let layer = graph.add("layer", product, &[x, w]).unwrap();
    let price = graph.add("price", Function::EXP, &[layer]).unwrap();
    let sum = Reduce { kind: Reduction::Sum, axes: vec![1], keep_dims: true };
    let sum = graph.add("sum", sum, &[price]).unwrap();
    graph.add_output("sum", sum);
    graph
}

fn shown(graph: &Graph) -> Vec<Vec<Array>> {
    examples(graph, 40, 5)
}

/// The largest error of one run of each example, rounded with another seed.
fn largest_error(graph: &Graph, model: &Compiled, seed: u64) -> f64 {
    let runner = Naive::noisy(seed);
    let unit = f64::from(model.program.scale_of(model.program.outputs[0].value)).exp2();
    let error = |example: Vec<Array>| {
        let inputs = encoded(&model.program, &example);
        let outputs = runner.run(&model.program, &model.weights, &inputs, &mut |_, _| ()).unwrap();
        let floats = float::run(graph, &example, &mut |_, _| ()).unwrap();
        (outputs[0][0] as f64 / unit - f64::from(floats[0].data[0])).abs()
    };
    shown(graph).into_iter().map(error).fold(0.0, f64::max)
}

#[test]
fn other_runs_err_no_more_than_the_report_says() {
    let graph = prices();
    let model = compile(
        &graph,
        Bounds::Examples(shown(&graph)),
        &CompileOptions::default(),
        &Naive::noisy(1),
        &mut |_| (),
    )
    .unwrap();
    let agreement = model.report.agreement.clone().unwrap();
    assert!(agreement.draws > 1 && agreement.largest_error <= agreement.tolerance, "{agreement:?}");
    let others: Vec<f64> = (100..120).map(|seed| largest_error(&graph, &model, seed)).collect();
    let far = others.iter().filter(|&&error| error > 1.3 * agreement.largest_error).count();
    assert!(far <= 1, "{agreement:?}, and other runs {others:?}");
}

/// The last judgement is what the report says: no other number is said to have been good enough.
#[test]
fn the_report_says_what_was_judged() {
    let graph = prices();
    for (slack, agrees) in [(1.0, true), (1e-9, false)] {
        let mut options = CompileOptions::default();
        options.tolerance.share *= slack;
        let shown = Bounds::Examples(shown(&graph));
        match compile(&graph, shown, &options, &Naive::noisy(1), &mut |_| ()) {
            Ok(model) => {
                let (report, agreement) = (&model.report, model.report.agreement.clone().unwrap());
                assert!(agrees, "{agreement:?}");
                let judged = report.trials.iter().rfind(|trial| trial.draws > 1).unwrap();
                assert_eq!(
                    (judged.scale, judged.largest_error, judged.agrees),
                    (report.scale, agreement.largest_error, true)
                );
            }
            Err(error) => assert!(!agrees, "{error}"),
        }
    }
}
