//! What is made of integers alone is compared as integers: truncations are off by a unit, and no
//! comparison, position or identifier is.

use cryptflow_athos::compile::{Bounds, CompileOptions, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_graph::{
    Arithmetic, Array, Comparison, Function, Graph, Linear, NodeId, Op, Order, Reduce, Reduction, float,
};
use cryptflow_ring::Movement;

use crate::fix::executor::Naive;
use crate::fix::graphs::Random;
use crate::fix::small::encoded;

const COLUMNS: usize = 6;

fn add(g: &mut Graph, op: impl Into<Op>, inputs: &[NodeId]) -> NodeId {
    let name = format!("node_{}", g.nodes.len());
    g.add(name, op, inputs).unwrap()
}

fn constant(g: &mut Graph, array: Array) -> NodeId {
    let name = format!("constant_{}", g.nodes.len());
    g.add_constant(name, array)
}

/// The sums of a row up to each element.
fn sums(g: &mut Graph, x: NodeId) -> NodeId {
    let upper = |i: usize| f32::from(u8::from(i / COLUMNS <= i % COLUMNS));
    let weights = Array::new(vec![COLUMNS, COLUMNS], (0..COLUMNS * COLUMNS).map(upper).collect()).unwrap();
    let weights = constant(g, weights);
    add(g, Linear::MatMul { transpose_a: false, transpose_b: false }, &[x, weights])
}

/// What is made of an integer input of 0 to 3: a name, and the value.
type Made = (&'static str, fn(&mut Graph, NodeId) -> NodeId);

const MADE: &[Made] = &[
    ("positions of what is there", |g, x| {
        let zero = constant(g, Array::scalar(0.0));
        let there = add(g, Arithmetic::Compare(Comparison::NotEqual), &[x, zero]);
        let positions = sums(g, there);
        add(g, Arithmetic::Mul, &[positions, there])
    }),
    ("product", |g, x| add(g, Arithmetic::Mul, &[x, x])),
    ("square", |g, x| add(g, Function::power(2.0), &[x])),
    ("cube", |g, x| {
        let square = add(g, Arithmetic::Mul, &[x, x]);
        add(g, Arithmetic::Mul, &[square, x])
    }),
    ("nearest of a product", |g, x| {
        let square = add(g, Arithmetic::Mul, &[x, x]);
        add(g, Function::FLOOR, &[square])
    }),
    ("sign of a difference of products", |g, x| {
        let square = add(g, Arithmetic::Mul, &[x, x]);
        let sums = sums(g, x);
        let difference = add(g, Arithmetic::Sub, &[square, sums]);
        let sign = add(g, Function::SIGN, &[difference]);
        let two = constant(g, Array::scalar(2.0));
        add(g, Arithmetic::Add, &[sign, two])
    }),
    ("chosen", |g, x| {
        let sums = sums(g, x);
        let square = add(g, Arithmetic::Mul, &[x, x]);
        let more = add(g, Arithmetic::Compare(Comparison::Greater), &[sums, square]);
        add(g, Arithmetic::Select, &[more, square, sums])
    }),
    ("first of the largest products", |g, x| {
        let square = add(g, Arithmetic::Mul, &[x, x]);
        let first = add(g, Order::ArgMax { axis: 1 }, &[square]);
        let column = add(g, Movement::Reshape { shape: vec![4, 1] }, &[first]);
        add(g, Movement::Broadcast { shape: vec![4, COLUMNS] }, &[column])
    }),
    ("floor of a fraction", |g, x| {
        let share = constant(g, Array::scalar(0.43));
        let part = add(g, Arithmetic::Mul, &[x, share]);
        let floor = add(g, Function::FLOOR, &[part]);
        add(g, Arithmetic::Mul, &[floor, x])
    }),
];

/// One-hot of what is made of an integer input, and a layer of that; with a sum of fractions beside.
fn graph(made: Made) -> Graph {
    const KINDS: usize = 10;
    let mut g = Graph::default();
    let x = g.add_integer_input("x", vec![4, COLUMNS]);
    let integers = made.1(&mut g, x);
    let column = add(&mut g, Movement::Reshape { shape: vec![4, COLUMNS, 1] }, &[integers]);
    let kinds = constant(&mut g, Array::vector((0..KINDS).map(|k| k as f32).collect()));
    let hot = add(&mut g, Arithmetic::Compare(Comparison::Equal), &[column, kinds]);
    let mut random = Random(9);
    let table = constant(&mut g, random.array(&[KINDS, 3], -2.0, 2.0));
    let y = add(&mut g, Linear::MatMul { transpose_a: false, transpose_b: false }, &[hot, table]);
    g.add_output("embedded", y);
    let seven = constant(&mut g, Array::scalar(7.0));
    let more = add(&mut g, Arithmetic::Compare(Comparison::GreaterEqual), &[integers, seven]);
    let many = Reduce { kind: Reduction::Sum, axes: vec![1], keep_dims: false };
    let many = add(&mut g, many, &[more]);
    g.add_output("many", many);
    g
}

fn examples(count: usize, seed: u64) -> Vec<Vec<Array>> {
    let mut random = Random(seed);
    let mut one = || {
        let array = random.array(&[4, COLUMNS], 0.0, 3.999);
        let data = array.data.iter().map(|v| v.floor()).collect();
        vec![Array::new(array.shape, data).unwrap()]
    };
    (0..count).map(|_| one()).collect()
}

#[test]
fn integers_are_told_from_each_other() {
    for &made in MADE {
        let graph = graph(made);
        let name = made.0;
        let bounds = Bounds::Examples(examples(24, 1));
        let compiled = compile(&graph, bounds, &CompileOptions::default(), &Naive::noisy(3), &mut |_| ())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let program = &compiled.program;
        for (runner, seed) in [(Naive::exact(), 2), (Naive::noisy(1), 3), (Naive::noisy(2), 4)] {
            for example in examples(6, seed) {
                let inputs = encoded(program, &example);
                let found = runner.run(program, &compiled.weights, &inputs, &mut |_, _| ()).unwrap();
                let right = float::run(&graph, &example, &mut |_, _| ()).unwrap();
                for ((right, found), output) in right.iter().zip(&found).zip(&program.outputs) {
                    let unit = f64::from(program.scale_of(output.value)).exp2();
                    let off =
                        right.data.iter().zip(found).map(|(&a, &b)| (f64::from(a) - b as f64 / unit).abs());
                    let off = off.fold(0.0, f64::max);
                    assert!(off < 0.05, "{name}, {}: off by {off}", output.name);
                }
            }
        }
    }
}
