//! Decisions alone: fewer bits than numbers take, and the same classes.

use cryptflow_athos::compile::{
    Accuracy, Bounds, CompileError, CompileOptions, Compiled, OptionError, Progress, Ring, Scale, compile,
};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_graph::{Activation, Array, Graph, Linear, Order, Range, float};
use cryptflow_program::Program;

use crate::fix::executor::Naive;
use crate::fix::graphs::Random;
use crate::fix::small::{encoded, examples};

/// Two layers and the scores of five classes, as they are, or as what is made of them.
fn scores(last: Option<&str>) -> Graph {
    let mut graph = Graph::default();
    let product = Linear::MatMul { transpose_a: false, transpose_b: false };
    let x = graph.add_input("x", vec![1, 16]);
    let w = graph.add_constant("w", Random(3).array(&[16, 24], -1.0, 1.0));
    let v = graph.add_constant("v", Random(4).array(&[24, 5], -1.0, 1.0));
    let inner = graph.add("inner", product.clone(), &[x, w]).unwrap();
    let inner = graph.add("relu", Activation::Relu, &[inner]).unwrap();
    let mut y = graph.add("scores", product, &[inner, v]).unwrap();
    match last {
        Some("softmax") => y = graph.add("softmax", Activation::Softmax, &[y]).unwrap(),
        Some("class") => y = graph.add("class", Order::ArgMax { axis: 1 }, &[y]).unwrap(),
        _ => {}
    }
    graph.add_output("y", y);
    graph
}

fn labels() -> CompileOptions {
    CompileOptions { accuracy: Accuracy::Labels, ..CompileOptions::default() }
}

fn of_examples(graph: &Graph, options: &CompileOptions) -> Result<Compiled, CompileError> {
    compile(graph, Bounds::Examples(examples(graph, 40, 5)), options, &Naive::noisy(1), &mut |_| ())
}

/// Bits of the rings of all elements that are computed.
fn bits(program: &cryptflow_program::Checked) -> usize {
    let computed = program.steps.iter().map(|step| step.output);
    computed.map(|id| program.rings()[id.0] as usize * program.elements(id)).sum()
}

/// The places where the largest number of an output is, and where that of the float model is.
fn classes(graph: &Graph, model: &Compiled, example: &[Array], seed: u64) -> [usize; 2] {
    let program: &Program = &model.program;
    let inputs = encoded(program, example);
    let fixed = Naive::noisy(seed).run(&model.program, &model.weights, &inputs, &mut |_, _| ()).unwrap();
    let floats = float::run(graph, example, &mut |_, _| ()).unwrap();
    let largest =
        |values: &[f64]| (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap();
    let fixed: Vec<f64> = fixed[0].iter().map(|&v| v as f64).collect();
    let floats: Vec<f64> = floats[0].data.iter().map(|&v| v.into()).collect();
    [largest(&fixed), largest(&floats)]
}

/// Whoever takes the largest score, the client or nobody in the model: there are fewer bits, and every decision
/// of the examples stays, in other runs, too. What was kept, and what it saves, is said.
#[test]
fn decisions_take_fewer_bits_than_numbers() {
    for last in [None, Some("softmax"), Some("class")] {
        let graph = scores(last);
        let mut relaxed = 0;
        let mut count = |progress: Progress| relaxed += usize::from(progress == Progress::Relaxing);
        let bounds = Bounds::Examples(examples(&graph, 40, 5));
        let model = compile(&graph, bounds, &labels(), &Naive::noisy(1), &mut count).unwrap();
        assert_eq!(relaxed, 1, "{last:?}");
        let numbers = of_examples(&graph, &CompileOptions::default()).unwrap();
        assert_eq!(model.exact.as_ref(), Some(&numbers.program), "{last:?}");
        assert!(numbers.exact.is_none() && numbers.report.decisions.is_none(), "{last:?}");
        let (few, many) = (bits(&model.program), bits(&numbers.program));
        assert!(few * 10 < many * 9, "{last:?}: {few} bits in place of {many}");
        let (agreement, decisions) = (model.report.agreement.unwrap(), model.report.decisions.unwrap());
        assert_eq!(agreement.flips, 0, "{last:?}");
        assert!(0.0 < decisions.thinnest_margin && decisions.thinnest_margin <= decisions.median_margin);
        assert!(
            agreement.largest_error > numbers.report.agreement.unwrap().tolerance,
            "{last:?}: {agreement:?}"
        );
        assert!(model.report.warnings.iter().any(|w| w.contains("only decisions were kept")), "{last:?}");
    }
    let graph = scores(None);
    let model = of_examples(&graph, &labels()).unwrap();
    for seed in 10..14 {
        for example in examples(&graph, 40, 5) {
            let [fixed, float] = classes(&graph, &model, &example, seed);
            assert_eq!(fixed, float, "in run {seed}");
        }
    }
}

#[test]
fn what_cannot_be_decided_is_refused() {
    let graph = scores(None);
    let refused = |graph: &Graph, bounds: Bounds, options: &CompileOptions| match compile(
        graph,
        bounds,
        options,
        &Naive::noisy(1),
        &mut |_| (),
    ) {
        Err(CompileError::Option(error)) => error,
        other => panic!("{other:?}"),
    };
    let shown = || Bounds::Examples(examples(&graph, 8, 5));
    let range = Bounds::Ranges(vec![Range { low: -1.0, high: 1.0 }]);
    assert_eq!(refused(&graph, range, &labels()), OptionError::NoExamplesOfDecisions);
    for options in [
        CompileOptions { scale: Scale::Bits(9), ..labels() },
        CompileOptions { ring: Ring::Bits(40), ..labels() },
    ] {
        assert_eq!(refused(&graph, shown(), &options), OptionError::FixedBitsOfDecisions);
    }
    // A single number is no choice.
    let mut one = Graph::default();
    let x = one.add_input("x", vec![1, 4]);
    let w = one.add_constant("w", Random(3).array(&[4, 1], -1.0, 1.0));
    let product = Linear::MatMul { transpose_a: false, transpose_b: false };
    let y = one.add("y", product, &[x, w]).unwrap();
    one.add_output("price", y);
    let error = refused(&one, Bounds::Examples(examples(&one, 8, 5)), &labels());
    assert_eq!(error, OptionError::NoDecisions { outputs: vec!["price".into()] });
}
