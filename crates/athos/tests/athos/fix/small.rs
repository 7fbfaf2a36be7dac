//! Every small graph: the fixed-point value of every node is near the float one.

use cryptflow_athos::compile::{Bounds, CompileOptions, Compiled, Ring, Scale, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_graph::Range;
use cryptflow_graph::{Activation, Array, Graph, Op, Order, float};
use cryptflow_program::{Input, Linear, Operation, OutputTransform, Program, Value, validate};

use crate::fix::executor::Naive;
use crate::fix::graphs::{GRAPHS, Random};

pub(crate) fn examples(graph: &Graph, count: usize, seed: u64) -> Vec<Vec<Array>> {
    let mut random = Random(seed);
    let one = |random: &mut Random| {
        graph.inputs.iter().map(|&id| random.array(&graph.node(id).shape, -1.0, 1.0)).collect()
    };
    (0..count).map(|_| one(&mut random)).collect()
}

pub(crate) fn compiled(graph: &Graph, options: &CompileOptions) -> Compiled {
    let bounds = Bounds::Examples(examples(graph, 40, 5));
    compile(graph, bounds, options, &Naive::exact(), &mut |_| ()).unwrap()
}

pub(crate) fn fixed(array: &Array, scale: u32) -> Vec<i64> {
    array.data.iter().map(|&v| (f64::from(v) * f64::from(scale).exp2()).round() as i64).collect()
}

/// An example as the integers that a program takes.
pub(crate) fn encoded(program: &Program, example: &[Array]) -> Vec<Vec<i64>> {
    let of = |(array, input): (&Array, &Input)| fixed(array, program.scale_of(input.value));
    example.iter().zip(&program.inputs).map(of).collect()
}

/// The largest error of an output on fresh inputs, in units.
fn error(graph: &Graph, model: &Compiled, runner: &Naive, seed: u64) -> f64 {
    let unit = f64::from(model.program.scale).exp2();
    let mut largest = 0.0f64;
    for example in examples(graph, 5, seed) {
        let inputs: Vec<Vec<i64>> = encoded(&model.program, &example);
        let outputs = runner.run(&model.program, &model.weights, &inputs, &mut |_, _| ()).unwrap();
        // What is opened is what the client's function is applied to.
        let mut opened = graph.clone();
        opened.outputs = graph.outputs.iter().map(|&id| origin(graph, id)).collect();
        let floats = float::run(&opened, &example, &mut |_, _| ()).unwrap();
        for ((fixed, float), output) in outputs.iter().zip(&floats).zip(&model.program.outputs) {
            assert_eq!(fixed.len(), float.data.len());
            let shape = &model.program.values[output.value.0].shape;
            let per_unit = unit / f64::from(model.program.scale_of(output.value)).exp2();
            if *shape != float.shape {
                // The arg-max over a middle axis: transposed.
                let moved = cryptflow_ring::Movement::Transpose { permutation: vec![0, 2, 1] };
                let moved = moved.apply(&[(&float.shape, float.data.as_slice())]).unwrap();
                largest = fixed
                    .iter()
                    .zip(&moved)
                    .fold(largest, |m, (&a, &b)| m.max((a as f64 * per_unit - f64::from(b) * unit).abs()));
                continue;
            }
            for (&a, &b) in fixed.iter().zip(float.data.iter()) {
                largest = largest.max((a as f64 * per_unit - f64::from(b) * unit).abs());
            }
        }
    }
    largest
}

/// The node whose value is opened for an output.
fn origin(graph: &Graph, id: cryptflow_graph::NodeId) -> cryptflow_graph::NodeId {
    match graph.node(id).op {
        Op::Activation(Activation::Softmax) | Op::Order(Order::ArgMax { .. }) | Op::Identity => {
            origin(graph, graph.node(id).inputs[0])
        }
        _ => id,
    }
}

#[test]
fn fixed_point_follows_the_float_model() {
    for (name, graph) in GRAPHS {
        let graph = graph();
        for scale in [Scale::Bits(12), Scale::Bits(16)] {
            let model = compiled(
                &graph,
                &CompileOptions { scale, ring: Ring::Bits(64), ..CompileOptions::default() },
            );
            validate(model.program.clone().into_program()).unwrap();
            // No layer amplifies by more than a few; the noise of a truncation is a unit.
            for (runner, allowed) in [(Naive::exact(), 24.0), (Naive::noisy(3), 60.0)] {
                let error = error(&graph, &model, &runner, 77);
                assert!(error <= allowed, "{name} at {scale:?}: off by {error} units");
            }
        }
    }
}

#[test]
fn the_search_finds_a_scale_that_agrees() {
    for (name, graph) in GRAPHS {
        let graph = graph();
        let model = compiled(&graph, &CompileOptions { ring: Ring::Auto, ..CompileOptions::default() });
        let agreement = model.report.agreement.clone().unwrap();
        assert!(
            agreement.flips == 0 && agreement.largest_error <= agreement.tolerance,
            "{name}: {agreement:?}"
        );
        assert!((5..=20).contains(&model.program.scale) && model.program.ring_bits <= 64, "{name}");
        // The naive executor fails where a value leaves its bounds; fresh inputs must not make it
        // fail.
        error(&graph, &model, &Naive::noisy(9), 78);
    }
}

#[test]
fn worst_case_bounds_hold_for_the_worst_inputs() {
    for (name, graph) in GRAPHS {
        let graph = graph();
        let ranges = vec![Range { low: -1.0, high: 1.0 }; graph.inputs.len()];
        let model =
            compile(&graph, Bounds::Ranges(ranges), &CompileOptions::default(), &Naive::exact(), &mut |_| ())
                .unwrap();
        assert!(model.report.warnings.iter().any(|w| w.contains("no calibration data")), "{name}");
        for seed in 0..20 {
            // Inputs at their extremes.
            let mut random = Random(seed);
            let inputs: Vec<Vec<i64>> = graph
                .inputs
                .iter()
                .map(|&id| {
                    let shape = &graph.node(id).shape;
                    let array = random.array(shape, -1.0, 1.0);
                    let signs = array.data.iter().map(|v| v.signum()).collect();
                    fixed(&Array::new(shape.clone(), signs).unwrap(), model.program.scale)
                })
                .collect();
            let run = Naive::noisy(seed).run(&model.program, &model.weights, &inputs, &mut |_, _| ());
            run.unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}

#[test]
fn worst_cases_contain_what_is_seen() {
    for (name, graph) in GRAPHS {
        let graph = graph();
        let options =
            CompileOptions { scale: Scale::Bits(12), margin: Some(0.0), ..CompileOptions::default() };
        let seen = compiled(&graph, &options).program;
        let ranges = vec![Range { low: -1.0, high: 1.0 }; graph.inputs.len()];
        let worst =
            compile(&graph, Bounds::Ranges(ranges), &options, &Naive::exact(), &mut |_| ()).unwrap().program;
        // What brings an output to more fractional bits is a step of examples alone.
        let of = |program: &Program, name: &str| {
            program.values.iter().filter(|v| v.name == name).cloned().collect::<Vec<Value>>()
        };
        let pairs = seen.values.iter().flat_map(|v| {
            let (a, b) = (of(&seen, &v.name), of(&worst, &v.name));
            if a.len() == b.len() { a.into_iter().zip(b).collect() } else { Vec::new() }
        });
        let pairs: Vec<(Value, Value)> = pairs.collect();
        assert!(pairs.len() + 2 >= worst.values.len(), "{name}");
        for (a, b) in &pairs {
            // Two units of rounding, of which the calibrated bound allows as many; outputs of which
            // examples say what is wanted have more fractional bits.
            let real = |v: &Value, end: i64| end as f64 / f64::from(v.scale).exp2();
            let unit = f64::from(12u32).exp2();
            let [low, high] = [real(b, b.low) - real(a, a.low), real(a, a.high) - real(b, b.high)];
            assert!(low.max(high) * unit <= 2.0, "{name}, {}: {a:?} {b:?}", a.name);
        }
    }
}

#[test]
fn what_the_client_applies() {
    let find = |name: &str| GRAPHS.iter().find(|(n, _)| *n == name).unwrap().1();
    let transforms = |name: &str| {
        let program = compiled(&find(name), &CompileOptions::default()).program;
        program.outputs.iter().map(|o| (o.name.clone(), o.transform)).collect::<Vec<_>>()
    };
    assert_eq!(transforms("softmax"), [("y".into(), Some(OutputTransform::Softmax))]);
    assert_eq!(
        transforms("logits and arg-max of softmax"),
        [("prediction".into(), Some(OutputTransform::ArgMax)), ("y".into(), None)]
    );
    let program = compiled(&find("arg-max over channels in the middle"), &CompileOptions::default()).program;
    assert_eq!(program.values[program.outputs[0].value.0].shape, [2, 3, 6]);
}

#[test]
fn sums_of_linear_maps_are_opened_once() {
    let find = |name: &str| GRAPHS.iter().find(|(n, _)| *n == name).unwrap().1();
    for (name, terms) in
        [("residual block with a projection", 2), ("difference of projections, three terms", 3)]
    {
        let program = compiled(&find(name), &CompileOptions::default()).program;
        let linear: Vec<usize> = program
            .steps
            .iter()
            .filter_map(|s| match &s.operation {
                Operation::Linear(Linear { terms, .. }) => Some(terms.len()),
                _ => None,
            })
            .collect();
        assert_eq!(linear, [terms], "{name}");
    }
}
