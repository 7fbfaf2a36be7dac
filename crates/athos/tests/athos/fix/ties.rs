//! What is equal in the float model is equal in fixed point, whatever rounding makes of it on the way; and
//! what rounding makes of what is all but zero is not divided by unseen.

use cryptflow_athos::compile::{Bounds, CompileOptions, Compiled, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_athos::{decoded, numbers};
use cryptflow_graph::{
    Activation, Arithmetic, Array, Comparison, Function, Graph, Linear, NodeId, Op, Order, Reduce, Reduction,
    float,
};
use cryptflow_ring::Movement;

use crate::fix::executor::Naive;
use crate::fix::graphs::Random;
use crate::fix::small::encoded;

const ROWS: usize = 4;
const COLUMNS: usize = 6;

fn add(g: &mut Graph, op: impl Into<Op>, inputs: &[NodeId]) -> NodeId {
    let name = format!("node_{}", g.nodes.len());
    g.add(name, op, inputs).unwrap()
}

fn number(g: &mut Graph, value: f32) -> NodeId {
    let name = format!("number_{}", g.nodes.len());
    g.add_constant(name, Array::scalar(value))
}

fn layer(g: &mut Graph, x: NodeId) -> NodeId {
    let mut random = Random(31);
    let weights = random.array(&[COLUMNS, COLUMNS], -0.9, 0.9);
    let weights = g.add_constant(format!("weights_{}", g.nodes.len()), weights);
    add(g, Linear::MatMul { transpose_a: false, transpose_b: false }, &[x, weights])
}

fn along(g: &mut Graph, kind: Reduction, x: NodeId) -> NodeId {
    add(g, Reduce { kind, axes: vec![1], keep_dims: true }, &[x])
}

/// Rows of which all elements are the same.
fn of_one(random: &mut Random) -> Array {
    let one = random.array(&[ROWS], -1.5, 1.5);
    let data = one.data.iter().flat_map(|&v| [v; COLUMNS]).collect();
    Array::new(vec![ROWS, COLUMNS], data).unwrap()
}

fn zeros(_: &mut Random) -> Array {
    Array::filled(vec![ROWS, COLUMNS], 0.0).unwrap()
}

fn quarters(random: &mut Random) -> Array {
    let some = random.array(&[ROWS, COLUMNS], -1.9, 1.9);
    Array::new(some.shape, some.data.iter().map(|v| (v * 4.0).round() / 4.0).collect()).unwrap()
}

/// What decides, and an input for which values are equal where it does.
struct Case {
    name: &'static str,
    build: fn(&mut Graph, NodeId) -> NodeId,
    equal: fn(&mut Random) -> Array,
}

const CASES: &[Case] = &[
    Case {
        name: "as large as the largest",
        build: |g, x| {
            let y = layer(g, x);
            let largest = along(g, Reduction::Max, y);
            add(g, Arithmetic::Compare(Comparison::Equal), &[y, largest])
        },
        equal: zeros,
    },
    Case {
        name: "less than its neighbour",
        build: |g, x| {
            let part = number(g, 0.37);
            let part = add(g, Arithmetic::Mul, &[x, part]);
            let [left, right] = [0, 1].map(|begin| {
                let (begin, size, stride) = (vec![0, begin], vec![ROWS, COLUMNS - 1], vec![1, 1]);
                add(g, Movement::Slice { begin, size, stride }, &[part])
            });
            add(g, Arithmetic::Compare(Comparison::Less), &[left, right])
        },
        equal: of_one,
    },
    Case {
        name: "the integer below",
        build: |g, x| {
            let part = number(g, 4.0);
            let part = add(g, Arithmetic::Mul, &[x, part]);
            add(g, Function::FLOOR, &[part])
        },
        equal: quarters,
    },
    Case {
        name: "the integer above",
        build: |g, x| {
            let part = number(g, 4.0);
            let part = add(g, Arithmetic::Mul, &[x, part]);
            add(g, Function::CEIL, &[part])
        },
        equal: quarters,
    },
    Case {
        name: "the sign",
        build: |g, x| {
            let y = layer(g, x);
            add(g, Function::SIGN, &[y])
        },
        equal: zeros,
    },
    Case {
        name: "the first of the largest",
        build: |g, x| {
            let y = layer(g, x);
            let first = add(g, Order::ArgMax { axis: 1 }, &[y]);
            let two = number(g, 2.0);
            add(g, Arithmetic::Mul, &[first, two])
        },
        equal: zeros,
    },
];

fn graph(build: fn(&mut Graph, NodeId) -> NodeId) -> Graph {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![ROWS, COLUMNS]);
    let y = build(&mut g, x);
    g.add_output("y", y);
    cryptflow_athos::passes::optimise(&mut g);
    g
}

fn shown(seed: u64) -> Bounds {
    let mut random = Random(seed);
    Bounds::Examples((0..24).map(|_| vec![random.array(&[ROWS, COLUMNS], -2.0, 2.0)]).collect())
}

fn compiled(name: &str, graph: &Graph, options: &CompileOptions) -> Compiled {
    let model = compile(graph, shown(5), options, &Naive::noisy(3), &mut |_| ());
    model.unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What the client gets of the first output.
fn opened(model: &Compiled, runner: &Naive, example: &[Array]) -> Vec<f64> {
    let program = &model.program;
    let found = runner.run(program, &model.weights, &encoded(program, example), &mut |_, _| ()).unwrap();
    let output = &program.outputs[0];
    decoded(&found[0], program.scale_of(output.value), output.digits)
}

#[test]
fn what_is_equal_stays_equal() {
    for Case { name, build, equal } in CASES {
        let graph = graph(*build);
        let model = compiled(name, &graph, &CompileOptions::default());
        let mut random = Random(11);
        for seed in 0..12 {
            let example = [equal(&mut random)];
            let right = float::run(&graph, &example, &mut |_, _| ()).unwrap();
            let found = opened(&model, &Naive::noisy(seed), &example);
            let pairs = right[0].data.iter().zip(&found);
            let off = pairs.fold(0.0f64, |most, (&a, b)| most.max((f64::from(a) - b).abs()));
            assert!(off < 0.01, "{name}: {found:?} for {:?}", right[0].data);
        }
    }
}

/// Where the examples themselves have values at a step, the search does not take rounding for an error.
#[test]
fn examples_may_be_at_steps() {
    for (name, function, factor) in
        [("floor", Function::FLOOR, 4.0), ("ceil", Function::CEIL, 4.0), ("round", Function::ROUND, 2.0)]
    {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![ROWS, COLUMNS]);
        let least = number(&mut g, -18.0);
        let above = add(&mut g, Arithmetic::Sub, &[x, least]);
        let by = number(&mut g, 1.0 / factor);
        let part = add(&mut g, Arithmetic::Div, &[above, by]);
        let y = add(&mut g, function, &[part]);
        g.add_output("y", y);
        cryptflow_athos::passes::optimise(&mut g);
        let mut random = Random(5);
        let examples = (0..24).map(|_| vec![quarters(&mut random)]).collect();
        let model = compile(
            &g,
            Bounds::Examples(examples),
            &CompileOptions::default(),
            &Naive::noisy(3),
            &mut |_| (),
        );
        let model = model.unwrap_or_else(|e| panic!("{name}: {e}"));
        let agreement = model.report.agreement.unwrap();
        assert!(agreement.largest_error <= agreement.tolerance, "{name}: {agreement:?}");
    }
}

/// Scores that saturate, or are zero, are equal to the client as well.
#[test]
fn scores_that_saturate_are_equal() {
    type Scores = fn(&mut Graph, NodeId) -> NodeId;
    let scores: [(&str, Scores); 2] = [
        ("gated", |g, x| {
            let y = layer(g, x);
            let gate = add(g, Function::SIGMOID, &[x]);
            let y = add(g, Activation::Relu, &[y]);
            add(g, Arithmetic::Mul, &[y, gate])
        }),
        ("cut off", |g, x| {
            let y = layer(g, x);
            let y = add(g, Activation::ClippedRelu { limit: 0.5 }, &[y]);
            let part = number(g, 0.7);
            add(g, Arithmetic::Mul, &[y, part])
        }),
    ];
    for (name, build) in scores {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![ROWS, COLUMNS]);
        let y = build(&mut g, x);
        let first = add(&mut g, Order::ArgMax { axis: 1 }, &[y]);
        g.add_output("first", first);
        cryptflow_athos::passes::optimise(&mut g);
        let model = compiled(name, &g, &CompileOptions::default());
        let (program, output) = (&model.program, &model.program.outputs[0]);
        for seed in 0..12 {
            let inputs = encoded(program, &[zeros(&mut Random(1))]);
            let found = Naive::noisy(seed).run(program, &model.weights, &inputs, &mut |_, _| ()).unwrap();
            let scores = numbers(output, &program.values[output.value.0], &found[0]);
            let row = |row: &[f64]| row.iter().all(|&score| score == row[0]);
            assert!(scores.chunks(COLUMNS).all(row), "{name}: {scores:?}");
        }
    }
}

/// Of equal scores the client takes the first one, as the float model does.
#[test]
fn scores_that_are_equal_are_opened_equal() {
    let graph = graph(|g, x| {
        let mut weights = Random(7).array(&[COLUMNS, COLUMNS], -1.9, 1.9);
        weights = Array::new(weights.shape, weights.data.iter().map(|v| v.round() / 4.0).collect()).unwrap();
        let weights = g.add_constant("votes", weights);
        let y = add(g, Linear::MatMul { transpose_a: false, transpose_b: false }, &[x, weights]);
        add(g, Order::ArgMax { axis: 1 }, &[y])
    });
    let model = compiled("scores", &graph, &CompileOptions::default());
    for seed in 0..12 {
        let found = opened(&model, &Naive::noisy(seed), &[zeros(&mut Random(1))]);
        assert!(found.iter().all(|&score| score == 0.0), "{found:?}");
    }
}

/// Rows whose elements differ by no more than rounding, through normalisations: the guard says so, and of
/// others it does not.
#[test]
fn what_rounding_decides_is_held_back() {
    type Normalised = fn(&mut Graph, NodeId) -> NodeId;
    let normalised: [(&str, Normalised, fn(&mut Random) -> Array); 3] = [
        (
            "by its deviation",
            |g, x| {
                let y = layer(g, x);
                let mean = along(g, Reduction::Mean, y);
                let apart = add(g, Arithmetic::Sub, &[y, mean]);
                let square = add(g, Arithmetic::Mul, &[apart, apart]);
                let variance = along(g, Reduction::Mean, square);
                let least = number(g, 1e-9);
                let variance = add(g, Arithmetic::Add, &[variance, least]);
                let deviation = add(g, Function::SQRT, &[variance]);
                add(g, Arithmetic::Div, &[apart, deviation])
            },
            zeros,
        ),
        (
            "by its largest",
            |g, x| {
                let y = layer(g, x);
                let y = add(g, Function::ABS, &[y]);
                let largest = along(g, Reduction::Max, y);
                let least = number(g, 1e-6);
                let largest = add(g, Arithmetic::Add, &[largest, least]);
                add(g, Arithmetic::Div, &[y, largest])
            },
            zeros,
        ),
        (
            "a logarithm",
            |g, x| {
                let square = add(g, Arithmetic::Mul, &[x, x]);
                let sum = along(g, Reduction::Sum, square);
                let sum = layer_of_one(g, sum);
                let least = number(g, 1e-7);
                let sum = add(g, Arithmetic::Add, &[sum, least]);
                add(g, Function::LOG, &[sum])
            },
            zeros,
        ),
    ];
    for (name, build, equal) in normalised {
        let graph = graph(build);
        let options = CompileOptions { guard: true, ..CompileOptions::default() };
        let model = compiled(name, &graph, &options);
        let mut random = Random(23);
        for seed in 0..8 {
            let held = |example: &[Array]| {
                let (program, runner) = (&model.program, Naive::beyond(seed));
                let mut flag = 0;
                let mut observe = |id, numbers: &[i64]| {
                    if Some(id) == program.guard {
                        flag = numbers[0];
                    }
                };
                runner.run(program, &model.weights, &encoded(program, example), &mut observe).unwrap();
                flag == 1
            };
            assert!(held(&[equal(&mut random)]), "{name}: nothing is said");
            assert!(
                !held(&[random.array(&[ROWS, COLUMNS], -2.0, 2.0)]),
                "{name}: what is right is held back"
            );
        }
    }
}

/// A number times another, rounded.
fn layer_of_one(g: &mut Graph, x: NodeId) -> NodeId {
    let part = number(g, 0.31);
    add(g, Arithmetic::Mul, &[x, part])
}
