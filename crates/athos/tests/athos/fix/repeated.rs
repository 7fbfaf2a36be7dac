//! Weights that are used at many steps: the program has them once for each scale at which it needs them.

use std::collections::HashSet;

use cryptflow_athos::compile::{Bounds, CompileOptions, Compiled, Ring, Scale, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_graph::{Activation, Arithmetic, Array, Function, Graph, Linear, NodeId, float};
use cryptflow_ring::Movement;

use crate::fix::executor::Naive;
use crate::fix::graphs::Random;
use crate::fix::small::{encoded, examples};

const STEPS: usize = 8;
const WIDTH: usize = 40;

const PLAIN: Linear = Linear::MatMul { transpose_a: false, transpose_b: false };
const TRANSPOSED: Linear = Linear::MatMul { transpose_a: false, transpose_b: true };

fn matrix(rows: usize, columns: usize, seed: u64) -> Array {
    let size = 1.0 / (rows as f32).sqrt();
    Random(seed).array(&[rows, columns], -size, size)
}

/// One layer after the other, each with a copy of the weights of its own.
fn copies(layer: &Linear) -> Graph {
    let mut g = Graph::default();
    let mut x = g.add_input("x", vec![1, WIDTH]);
    for step in 0..STEPS {
        let w = g.add_constant(format!("w{step}"), matrix(WIDTH, WIDTH, 3));
        let b = g.add_constant(format!("b{step}"), Array::vector(vec![0.25; WIDTH]));
        x = g.add(format!("layer{step}"), layer.clone(), &[x, w, b]).unwrap();
        x = g.add(format!("relu{step}"), Activation::Relu, &[x]).unwrap();
    }
    g.add_output("y", x);
    g
}

/// A recurrence over the rows of its input, `h = f(x·W + h·R)`; its first state is nothing, or comes from outside.
fn recurrence(f: Function, merged: bool) -> Graph {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![STEPS, WIDTH]);
    let mut h = g.add_input("h", vec![1, WIDTH]);
    let (w, r) = (g.add_constant("W", matrix(WIDTH, WIDTH, 5)), g.add_constant("R", matrix(WIDTH, WIDTH, 7)));
    let all = (!merged).then(|| g.add("projected", PLAIN, &[x, w]).unwrap());
    let row = |g: &mut Graph, of: NodeId, step: usize| {
        let cut = Movement::Slice { begin: vec![step, 0], size: vec![1, WIDTH], stride: vec![1, 1] };
        g.add(format!("{step}/row"), cut, &[of]).unwrap()
    };
    for step in 0..STEPS {
        let input = match all {
            Some(all) => row(&mut g, all, step),
            None => {
                let row = row(&mut g, x, step);
                g.add(format!("{step}/input"), PLAIN, &[row, w]).unwrap()
            }
        };
        let recurred = g.add(format!("{step}/recurred"), TRANSPOSED, &[h, r]).unwrap();
        let sum = g.add(format!("{step}/sum"), Arithmetic::Add, &[input, recurred]).unwrap();
        h = g.add(format!("{step}/state"), f, &[sum]).unwrap();
    }
    g.add_output("y", h);
    g
}

fn compiled(graph: &Graph, options: &CompileOptions) -> Compiled {
    compile(graph, Bounds::Examples(examples(graph, 40, 5)), options, &Naive::exact(), &mut |_| ()).unwrap()
}

#[test]
fn weights_of_many_steps_are_shared() {
    let square = WIDTH * WIDTH;
    let table: [(&str, Graph, usize); 6] = [
        ("layers", copies(&PLAIN), 1),
        ("layers, transposed", copies(&TRANSPOSED), 1),
        ("tanh, projected before", recurrence(Function::TANH, false), 2),
        ("tanh, projected at each step", recurrence(Function::TANH, true), 2),
        ("sigmoid, projected before", recurrence(Function::SIGMOID, false), 2),
        ("sigmoid, projected at each step", recurrence(Function::SIGMOID, true), 2),
    ];
    for ring in [Ring::Bits(64), Ring::Auto] {
        for (name, graph, matrices) in &table {
            let model = compiled(graph, &CompileOptions { ring, ..CompileOptions::default() });
            let of_matrices = model.weights.iter().map(Vec::len).filter(|&len| len == square);
            let stored = of_matrices.sum::<usize>() / square;
            // Steps that are finer than others have them at a scale of their own.
            assert!(
                (*matrices..=3 * matrices).contains(&stored),
                "{name}, {ring:?}: {stored} for {STEPS} steps"
            );
            let distinct: HashSet<_> =
                model.program.weights.iter().zip(&model.weights).map(|(w, data)| (w.scale, data)).collect();
            assert_eq!(distinct.len(), model.weights.len(), "{name}, {ring:?}: a weight is there twice");
            let parameters: usize =
                model.program.weights.iter().map(|w| w.shape.iter().product::<usize>()).sum();
            assert_eq!(model.report.parameters, parameters as u64, "{name}");
        }
    }
}

#[test]
fn what_shares_weights_computes_what_the_float_model_does() {
    for scale in [Scale::Auto, Scale::Bits(12)] {
        for graph in
            [copies(&TRANSPOSED), recurrence(Function::TANH, true), recurrence(Function::SIGMOID, false)]
        {
            let options = CompileOptions { ring: Ring::Auto, scale, ..CompileOptions::default() };
            let model = compiled(&graph, &options);
            for example in examples(&graph, 5, 17) {
                let inputs = encoded(&model.program, &example);
                let outputs =
                    Naive::exact().run(&model.program, &model.weights, &inputs, &mut |_, _| ()).unwrap();
                let floats = float::run(&graph, &example, &mut |_, _| ()).unwrap();
                let unit = f64::from(model.program.scale_of(model.program.outputs[0].value)).exp2();
                for (&fixed, &float) in outputs[0].iter().zip(floats[0].data.iter()) {
                    let error = (fixed as f64 / unit - f64::from(float)).abs();
                    assert!(error < 0.01, "{error} at {scale:?}");
                }
            }
        }
    }
}
