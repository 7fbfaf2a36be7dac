//! What the report says of errors is what runs show: rounding is random, and a single run says little
//! where a few numbers decide.

use cryptflow_athos::compile::{Bounds, CompileOptions, Compiled, Ring, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_graph::{
    Activation, Arithmetic, Array, Comparison, Function, Graph, Linear, Reduce, Reduction, float,
};

use crate::fix::executor::Naive;
use crate::fix::graphs::Random;
use crate::fix::small::{compiled, encoded, examples};

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

/// A judgement by several runs is what the report says: no other number is said to have been good enough.
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
                let said = (report.scale, agreement.largest_error, true);
                let judged = report.trials.iter().filter(|trial| trial.draws > 1);
                let judged: Vec<_> =
                    judged.map(|trial| (trial.scale, trial.largest_error, trial.agrees)).collect();
                // A finer scale that takes no less may have been judged behind it.
                assert!(judged.contains(&said), "{said:?} of {judged:?}");
            }
            Err(error) => assert!(!agrees, "{error}"),
        }
    }
}

/// A softmax of scores that are far apart because places are hidden is as precise as one of scores that
/// are not: nobody asked for the probabilities of classes that are hidden.
#[test]
fn hidden_classes_are_no_measure() {
    let mut g = Graph::default();
    let s = g.add_input("s", vec![1, 6]);
    let m = g.add_input("m", vec![1, 6]);
    let half = g.add_constant("half", Array::scalar(0.5));
    let seen = g.add("seen", Arithmetic::Compare(Comparison::Greater), &[m, half]).unwrap();
    let one = g.add_constant("one", Array::scalar(1.0));
    let hidden = g.add("hidden", Arithmetic::Sub, &[one, seen]).unwrap();
    let low = g.add_constant("low", Array::scalar(-65504.0));
    let mask = g.add("mask", Arithmetic::Mul, &[hidden, low]).unwrap();
    let scores = g.add("scores", Arithmetic::Add, &[s, mask]).unwrap();
    let y = g.add("y", Activation::Softmax, &[scores]).unwrap();
    g.add_output("y", y);
    let mut random = Random(11);
    let examples = (0..40).map(|i| {
        // One, two or three places that are seen: rows of one have no second class to speak of.
        let m = (0..6).map(|at| if (at + i) % 6 < 1 + i % 3 { 1.0 } else { 0.0 }).collect();
        vec![random.array(&[1, 6], -1.0, 1.0), Array::new(vec![1, 6], m).unwrap()]
    });
    let bounds = Bounds::Examples(examples.collect());
    let model = compile(&g, bounds, &CompileOptions::default(), &Naive::noisy(1), &mut |_| ()).unwrap();
    let agreement = model.report.agreement.unwrap();
    assert!(
        agreement.tolerance <= 1.0 / 32.0 && agreement.largest_error <= agreement.tolerance,
        "{agreement:?}"
    );
}

/// An output that was nothing but zero has no measure of its own, and one all the same.
#[test]
fn an_output_of_zeros_is_judged() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![1, 4]);
    let square = g.add("square", Arithmetic::Mul, &[x, x]).unwrap();
    let again = g.add("again", Arithmetic::Mul, &[x, x]).unwrap();
    let zero = g.add("zero", Arithmetic::Sub, &[square, again]).unwrap();
    g.add_output("zero", zero);
    let model = compiled(&g, &CompileOptions::default());
    assert_eq!(model.report.agreement.unwrap().tolerance, 1.0 / 2048.0);
}

/// A layer and a mask of flags are summed, though their weights can never be precise at one shift.
#[test]
fn a_large_weight_of_a_flag_beside_a_small_one_of_a_fine_value() {
    let mut g = Graph::default();
    let (s, t) = (g.add_input("s", vec![1, 6]), g.add_input("t", vec![1, 6]));
    let zero = g.add_constant("zero", Array::scalar(0.0));
    let flag = g.add("flag", Arithmetic::Compare(Comparison::Less), &[t, zero]).unwrap();
    let low = g.add_constant("low", Array::scalar(-1e4));
    let mask = g.add("mask", Arithmetic::Mul, &[flag, low]).unwrap();
    let small = g.add_constant("small", Array::scalar(0.35));
    let scaled = g.add("scaled", Arithmetic::Mul, &[s, small]).unwrap();
    let masked = g.add("masked", Arithmetic::Add, &[scaled, mask]).unwrap();
    let tenth = g.add_constant("least", Array::scalar(-1.0));
    let y = g.add("y", Arithmetic::Maximum, &[masked, tenth]).unwrap();
    g.add_output("y", y);
    for ring in [Ring::Auto, Ring::Bits(64), Ring::Bits(40)] {
        let model = compiled(&g, &CompileOptions { ring, ..CompileOptions::default() });
        let agreement = model.report.agreement.unwrap();
        assert!(agreement.largest_error <= agreement.tolerance, "{ring:?}: {agreement:?}");
    }
}
