//! Functions that are steep near zero, of operands that get closer to it than calibration showed, or
//! are zero in some rows: as in floats, with the noise of truncations, and within bounds.

use cryptflow_athos::compile::{Bounds, CompileError, CompileOptions, Compiled, Scale, compile};
use cryptflow_athos::fix::{FixError, FixedRunner, Refusal};
use cryptflow_graph::{
    Activation, Arithmetic, Array, Comparison, Function, Graph, Linear, NodeId, Op, Reduce, Reduction, float,
};
use cryptflow_ring::Movement;

use crate::fix::executor::Naive;
use crate::fix::graphs::Random;
use crate::fix::small::encoded;

const ROWS: usize = 8;
const COLUMNS: usize = 16;

/// A graph of rows, what calibration shows of its input, and another input.
struct Case {
    name: &'static str,
    scale: u32,
    build: fn(&mut Graph, NodeId) -> NodeId,
    shown: fn(&mut Random) -> Array,
    fresh: fn(&mut Random) -> Array,
    /// The largest error that it may have.
    error: f64,
}

fn number(g: &mut Graph, value: f32) -> NodeId {
    g.add_constant(format!("c{}", g.nodes.len()), Array::scalar(value))
}

fn add(g: &mut Graph, op: impl Into<Op>, inputs: &[NodeId]) -> NodeId {
    g.add(format!("n{}", g.nodes.len()), op, inputs).unwrap()
}

fn by(g: &mut Graph, op: Arithmetic, x: NodeId, value: f32) -> NodeId {
    let c = number(g, value);
    add(g, op, &[x, c])
}

fn along(g: &mut Graph, kind: Reduction, x: NodeId) -> NodeId {
    add(g, Reduce { kind, axes: vec![1], keep_dims: true }, &[x])
}

/// A layer, so that what follows has the errors of a truncation.
fn layer(g: &mut Graph, x: NodeId) -> NodeId {
    let w = (0..COLUMNS * COLUMNS).map(|i| if i % (COLUMNS + 1) == 0 { 0.75 } else { 0.0 }).collect();
    let w = g.add_constant("w", Array::new(vec![COLUMNS, COLUMNS], w).unwrap());
    add(g, Linear::MatMul { transpose_a: false, transpose_b: false }, &[x, w])
}

/// A row less its mean, that mean, and 1/√(variance + ε).
fn statistics(g: &mut Graph, x: NodeId, epsilon: f32) -> [NodeId; 3] {
    let mean = along(g, Reduction::Mean, x);
    let centred = add(g, Arithmetic::Sub, &[x, mean]);
    let squares = add(g, Arithmetic::Mul, &[centred, centred]);
    let variance = along(g, Reduction::Mean, squares);
    let variance = by(g, Arithmetic::Add, variance, epsilon);
    [centred, mean, add(g, Function::RSQRT, &[variance])]
}

fn norm(g: &mut Graph, x: NodeId) -> NodeId {
    let squares = add(g, Arithmetic::Mul, &[x, x]);
    let sum = along(g, Reduction::Sum, squares);
    add(g, Function::SQRT, &[sum])
}

fn rows(random: &mut Random) -> Array {
    random.array(&[ROWS, COLUMNS], -2.0, 2.0)
}

/// Rows that hardly vary, each around a number of its own.
fn of_low_contrast(random: &mut Random) -> Array {
    let (around, noise) = (random.array(&[ROWS], -1.5, 1.5), random.array(&[ROWS, COLUMNS], -0.01, 0.01));
    let data = noise.data.iter().enumerate().map(|(i, v)| v + around.data[i / COLUMNS]).collect();
    Array::new(noise.shape, data).unwrap()
}

/// The same rows with zeros in every third.
fn padded(random: &mut Random) -> Array {
    let x = rows(random);
    let data = x.data.iter().enumerate().map(|(i, &v)| if i / COLUMNS % 3 == 1 { 0.0 } else { v }).collect();
    Array::new(x.shape, data).unwrap()
}

/// Numbers of all sizes down to 1e-8.
fn of_all_sizes(random: &mut Random) -> Array {
    let exponents = random.array(&[ROWS, COLUMNS], -8.0, 0.5);
    Array::new(exponents.shape.clone(), exponents.data.iter().map(|v| 10f32.powf(*v)).collect()).unwrap()
}

fn far_below(random: &mut Random) -> Array {
    random.array(&[ROWS, COLUMNS], -24.0, 4.0)
}

/// Rows a fiftieth as long as [`rows`].
fn short(random: &mut Random) -> Array {
    let x = rows(random);
    Array::new(x.shape, x.data.iter().map(|v| v / 50.0).collect()).unwrap()
}

/// Rows of all sizes from a hundredth on, of which every third is zero.
fn padded_of_all_sizes(random: &mut Random) -> Array {
    let (x, sizes) = (padded(random), random.array(&[ROWS], -2.0, 0.5));
    let data = x.data.iter().enumerate().map(|(i, v)| v * 10f32.powf(sizes.data[i / COLUMNS])).collect();
    Array::new(x.shape, data).unwrap()
}

fn half(g: &mut Graph, x: NodeId, from: usize) -> NodeId {
    let size = vec![ROWS, COLUMNS / 2];
    add(g, Movement::Slice { begin: vec![0, from], size, stride: vec![1, 1] }, &[x])
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "rows over their norm, shorter than any that was seen",
            scale: 14,
            build: |g, x| {
                let norm = norm(g, x);
                let norm = by(g, Arithmetic::Maximum, norm, 1e-12);
                add(g, Arithmetic::Div, &[x, norm])
            },
            shown: rows,
            fresh: short,
            error: 0.01,
        },
        Case {
            name: "rows over the sum of their magnitudes, shorter than any that was seen",
            scale: 14,
            build: |g, x| {
                let magnitudes = add(g, Function::ABS, &[x]);
                let sum = along(g, Reduction::Sum, magnitudes);
                add(g, Arithmetic::Div, &[x, sum])
            },
            shown: rows,
            fresh: short,
            error: 0.002,
        },
        Case {
            name: "rows less their least over their span, narrower than any that was seen",
            scale: 14,
            build: |g, x| {
                let [least, most] = [Reduction::Min, Reduction::Max].map(|kind| along(g, kind, x));
                let above = add(g, Arithmetic::Sub, &[x, least]);
                let span = add(g, Arithmetic::Sub, &[most, least]);
                let span = by(g, Arithmetic::Add, span, 1e-6);
                add(g, Arithmetic::Div, &[above, span])
            },
            shown: rows,
            fresh: short,
            error: 0.01,
        },
        Case {
            name: "means over what a mask leaves, which may be nothing",
            scale: 12,
            build: |g, x| {
                let zero = number(g, 0.0);
                let there = add(g, Arithmetic::Compare(Comparison::Greater), &[x, zero]);
                let kept = add(g, Arithmetic::Mul, &[x, there]);
                let (sum, count) = (along(g, Reduction::Sum, kept), along(g, Reduction::Sum, there));
                let count = by(g, Arithmetic::Maximum, count, 1e-9);
                add(g, Arithmetic::Div, &[sum, count])
            },
            shown: rows,
            fresh: |random| random.array(&[ROWS, COLUMNS], -2.0, -1.0),
            error: 0.001,
        },
        Case {
            name: "logarithms of what a maximum keeps from zero, lower than any that was seen",
            scale: 14,
            build: |g, x| {
                let size = add(g, Function::ABS, &[x]);
                let least = by(g, Arithmetic::Maximum, size, 1e-7);
                add(g, Function::LOG, &[least])
            },
            shown: |random| random.array(&[ROWS, COLUMNS], 0.5, 2.0),
            fresh: |random| {
                let x = random.array(&[ROWS, COLUMNS], -3.0, 0.0);
                Array::new(x.shape, x.data.iter().map(|v| 10f32.powf(*v)).collect()).unwrap()
            },
            error: 0.1,
        },
        Case {
            name: "shares of energies of all sizes, some of them zero",
            scale: 14,
            build: |g, x| {
                let squares = add(g, Arithmetic::Mul, &[x, x]);
                let sum = along(g, Reduction::Sum, squares);
                let sum = by(g, Arithmetic::Add, sum, 1e-10);
                add(g, Arithmetic::Div, &[squares, sum])
            },
            shown: padded_of_all_sizes,
            fresh: padded_of_all_sizes,
            error: 0.002,
        },
        Case {
            name: "cosines, of zeros, too",
            scale: 14,
            build: |g, x| {
                let [a, b] = [0, COLUMNS / 2].map(|from| half(g, x, from));
                let product = add(g, Arithmetic::Mul, &[a, b]);
                let product = along(g, Reduction::Sum, product);
                let norms = [a, b].map(|x| norm(g, x));
                let norms = add(g, Arithmetic::Mul, &norms);
                let norms = by(g, Arithmetic::Maximum, norms, 1e-8);
                add(g, Arithmetic::Div, &[product, norms])
            },
            shown: padded,
            fresh: padded,
            error: 0.002,
        },
        Case {
            name: "normalised rows of low contrast",
            scale: 14,
            build: |g, x| {
                let x = layer(g, x);
                let [centred, _, inverse] = statistics(g, x, 1e-4);
                add(g, Arithmetic::Mul, &[centred, inverse])
            },
            shown: rows,
            fresh: of_low_contrast,
            error: 0.02,
        },
        Case {
            name: "the same as one factor and one offset a row",
            scale: 14,
            build: |g, x| {
                let x = layer(g, x);
                let [_, mean, inverse] = statistics(g, x, 1e-4);
                let gamma = g.add_constant("gamma", Random(9).array(&[COLUMNS], 0.5, 1.5));
                let beta = g.add_constant("beta", Random(8).array(&[COLUMNS], -1.0, 1.0));
                let factor = add(g, Arithmetic::Mul, &[inverse, gamma]);
                let product = add(g, Arithmetic::Mul, &[x, factor]);
                let away = add(g, Arithmetic::Mul, &[mean, factor]);
                let offset = add(g, Arithmetic::Sub, &[beta, away]);
                add(g, Arithmetic::Add, &[product, offset])
            },
            shown: rows,
            fresh: of_low_contrast,
            error: 0.05,
        },
        Case {
            name: "rows over their norm, of which some are zero",
            scale: 16,
            build: |g, x| {
                let x = layer(g, x);
                let norm = norm(g, x);
                let norm = by(g, Arithmetic::Maximum, norm, 1e-12);
                let norm = add(g, Movement::Broadcast { shape: vec![ROWS, COLUMNS] }, &[norm]);
                add(g, Arithmetic::Div, &[x, norm])
            },
            shown: padded,
            fresh: padded,
            error: 0.001,
        },
        Case {
            name: "the same by an inverse root",
            scale: 16,
            build: |g, x| {
                let x = layer(g, x);
                let squares = add(g, Arithmetic::Mul, &[x, x]);
                let sum = along(g, Reduction::Sum, squares);
                let sum = by(g, Arithmetic::Maximum, sum, 1e-24);
                let inverse = add(g, Function::RSQRT, &[sum]);
                let gamma = g.add_constant("gamma", Random(9).array(&[COLUMNS], 0.5, 1.5));
                let factor = add(g, Arithmetic::Mul, &[inverse, gamma]);
                add(g, Arithmetic::Mul, &[x, factor])
            },
            shown: padded,
            fresh: padded,
            error: 0.001,
        },
        Case {
            name: "the logarithm of squares and a small number",
            scale: 16,
            build: |g, x| {
                let squares = add(g, Arithmetic::Mul, &[x, x]);
                let sum = by(g, Arithmetic::Add, squares, 1e-9);
                add(g, Function::LOG, &[sum])
            },
            shown: of_all_sizes,
            fresh: of_all_sizes,
            error: 0.1,
        },
        Case {
            name: "a divisor that the model keeps above one",
            scale: 14,
            build: |g, x| {
                let squares = add(g, Arithmetic::Mul, &[x, x]);
                let sum = along(g, Reduction::Mean, squares);
                let sum = by(g, Arithmetic::Mul, sum, 1e-4);
                let sum = by(g, Arithmetic::Add, sum, 1.0);
                let power = add(g, Function::power(0.75), &[sum]);
                add(g, Arithmetic::Div, &[x, power])
            },
            shown: rows,
            fresh: rows,
            error: 0.002,
        },
        Case {
            name: "the logarithm of a sigmoid",
            scale: 12,
            build: |g, x| {
                let sigmoid = add(g, Function::SIGMOID, &[x]);
                add(g, Function::LOG, &[sigmoid])
            },
            shown: far_below,
            fresh: far_below,
            error: 0.003,
        },
        Case {
            name: "the logarithm of a softmax",
            scale: 12,
            build: |g, x| {
                let softmax = add(g, Activation::Softmax, &[x]);
                add(g, Function::LOG, &[softmax])
            },
            shown: far_below,
            fresh: far_below,
            error: 0.003,
        },
    ]
}

fn graph(case: &Case) -> Graph {
    let mut graph = Graph::default();
    let x = graph.add_input("x", vec![ROWS, COLUMNS]);
    let y = (case.build)(&mut graph, x);
    graph.add_output("y", y);
    cryptflow_athos::passes::optimise(&mut graph);
    graph
}

fn compiled(case: &Case, graph: &Graph) -> Result<Compiled, CompileError> {
    let mut random = Random(5);
    let shown = Bounds::Examples((0..40).map(|_| vec![(case.shown)(&mut random)]).collect());
    let options = CompileOptions { scale: Scale::Bits(case.scale), ..CompileOptions::default() };
    compile(graph, shown, &options, &Naive::exact(), &mut |_| ())
}

#[test]
fn functions_near_zero_follow_floats() {
    let mut failures = Vec::new();
    for case in cases() {
        let graph = graph(&case);
        let model = compiled(&case, &graph).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let mut random = Random(77);
        for (seed, runner) in [Naive::exact(), Naive::noisy(3), Naive::noisy(4)].iter().enumerate() {
            let example = [(case.fresh)(&mut random)];
            let inputs = encoded(&model.program, &example);
            let run = runner.run(&model.program, &model.weights, &inputs, &mut |_, _| ());
            let outputs = run.unwrap_or_else(|e| panic!("{}: {e}", case.name));
            let floats = float::run(&graph, &example, &mut |_, _| ()).unwrap();
            let unit = f64::from(model.program.scale_of(model.program.outputs[0].value)).exp2();
            let pairs = outputs[0].iter().zip(floats[0].data.iter());
            let error = pairs.fold(0.0f64, |most, (&y, &f)| most.max((y as f64 / unit - f64::from(f)).abs()));
            println!("{}: off by {error:.2e} of {:.2e}", case.name, case.error);
            if error.is_nan() || error > case.error {
                failures.push(format!("{}, run {seed}: off by {error}, {} allowed", case.name, case.error));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A power spectrum with silence in it: an ε that only many more bits than those of activations tell
/// from zero decides what its logarithm is, directly and after a layer.
#[test]
fn logarithms_of_spectra_with_silence_agree() {
    let builds: [fn(&mut Graph, NodeId) -> NodeId; 2] = [|_, power| power, layer];
    for (at, build) in builds.into_iter().enumerate() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![ROWS, COLUMNS]);
        let power = add(&mut graph, Arithmetic::Mul, &[x, x]);
        let power = build(&mut graph, power);
        let power = by(&mut graph, Arithmetic::Add, power, 1e-10);
        let y = add(&mut graph, Function::LOG, &[power]);
        graph.add_output("y", y);
        let mut random = Random(5);
        let shown = |_| {
            let x = random.array(&[ROWS, COLUMNS], -4.0, 1.5);
            let silent = |v: f32| if (v * 1e3) as i32 % 10 == 0 { 0.0 } else { 10f32.powf(v) };
            vec![Array::new(x.shape.clone(), x.data.iter().map(|&v| silent(v)).collect()).unwrap()]
        };
        let shown = Bounds::Examples((0..40).map(shown).collect());
        let model = compile(&graph, shown, &CompileOptions::default(), &Naive::noisy(3), &mut |_| ());
        let agreement = model.unwrap_or_else(|e| panic!("{at}: {e}")).report.agreement.unwrap();
        assert!(agreement.largest_error <= agreement.tolerance, "{at}: {agreement:?}");
    }
}

/// The report says where a divisor counts as nothing; where it is never that, nothing changes.
#[test]
fn reports_name_divisors_that_count_as_nothing() {
    for case in cases() {
        let graph = graph(&case);
        let model = compiled(&case, &graph).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let ends: Vec<f64> = model.report.functions.iter().filter_map(|f| f.zero_below).collect();
        let padded = ["some of them zero", "some are zero", "zeros, too", "inverse root", "a mask leaves"];
        let padded = padded.iter().any(|kind| case.name.contains(kind));
        assert_eq!(ends.len(), usize::from(padded), "{}: {ends:?}", case.name);
        assert!(ends.iter().all(|&end| end > 1e-8), "{}: {ends:?}", case.name);
    }
}

/// Divisors of all sizes, down to what fixed point cannot tell from zero: the node is named.
#[test]
fn divisors_of_all_sizes_down_to_nothing_are_refused() {
    let case = Case {
        name: "small and smaller",
        scale: 16,
        build: |g, x| {
            let least = by(g, Arithmetic::Maximum, x, 1e-30);
            let one = number(g, 1.0);
            g.add("quotient", Arithmetic::Div, &[one, least]).unwrap()
        },
        shown: |random| {
            let exponents = random.array(&[ROWS, COLUMNS], -18.0, 0.5);
            Array::new(exponents.shape.clone(), exponents.data.iter().map(|v| 10f32.powf(*v)).collect())
                .unwrap()
        },
        fresh: rows,
        error: 0.0,
    };
    let error = compiled(&case, &graph(&case)).unwrap_err();
    let CompileError::Fix(FixError::Unsupported(nodes)) = &error else { panic!("{error}") };
    let [only] = nodes.as_slice() else { panic!("{error}") };
    assert!(matches!(only.reason, Refusal::NextToZero { .. }), "{error}");
    assert!(only.name.contains("quotient"), "{error}");
}
