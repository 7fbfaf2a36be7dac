//! Functions where their operands leave what calibration showed, and their bounds with it: they
//! saturate as in floats, and no comparison wraps.

use cryptflow_athos::compile::{Bounds, CompileOptions, Scale, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_graph::{Array, Function, Graph, Linear, float};

use crate::fix::executor::Naive;
use crate::fix::graphs::Random;
use crate::fix::small::fixed;

const SCALE: u32 = 12;

/// A function of an input.
fn of_input(function: Function) -> Graph {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![8]);
    let y = g.add("y", function, &[x]).unwrap();
    g.add_output("y", y);
    g
}

/// A function of `p + q + offset`: a layer, of which inputs in their ranges show little.
fn of_layer(function: Function, offset: f32) -> Graph {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![8, 2]);
    let w = g.add_constant("w", Array::new(vec![2, 1], vec![1.0, 1.0]).unwrap());
    let b = g.add_constant("b", Array::vector(vec![offset]));
    let sum = Linear::MatMul { transpose_a: false, transpose_b: false };
    let sum = g.add("sum", sum, &[x, w, b]).unwrap();
    let y = g.add("y", function, &[sum]).unwrap();
    g.add_output("y", y);
    g
}

/// The largest error in units, on an example beyond those of calibration.
fn off(name: &str, graph: &Graph, shown: Vec<Array>, beyond: &Array) -> f64 {
    let options = CompileOptions { scale: Scale::Bits(SCALE), ..CompileOptions::default() };
    let bounds = Bounds::Examples(shown.into_iter().map(|a| vec![a]).collect());
    let model = compile(graph, bounds, &options, &Naive::exact(), &mut |_| ())
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    let inputs = vec![fixed(beyond, SCALE)];
    let run = Naive::beyond(3).run(&model.program, &model.weights, &inputs, &mut |_, _| ());
    let outputs = run.unwrap_or_else(|e| panic!("{name}: {e}"));
    let floats = float::run(graph, std::slice::from_ref(beyond), &mut |_, _| ()).unwrap();
    let unit = f64::from(SCALE).exp2();
    let per_unit = unit / f64::from(model.program.scale_of(model.program.outputs[0].value)).exp2();
    outputs[0]
        .iter()
        .zip(floats[0].data.iter())
        .fold(0.0f64, |most, (&y, &f)| most.max((y as f64 * per_unit - f64::from(f) * unit).abs()))
}

/// Twice what was seen is within the margin, whatever results were seen.
#[test]
fn functions_are_made_for_the_whole_margin() {
    let cases: [(Function, (f32, f32), Vec<f32>); 7] = [
        (Function::FLOOR, (0.1, 0.9), vec![0.05, 0.5, 0.95, 1.1, 1.2, 1.5, 1.7, 1.75]),
        (Function::CEIL, (-0.9, -0.1), vec![-0.05, -0.5, -0.95, -1.1, -1.2, -1.5, -1.7, -1.75]),
        (Function::ROUND, (-0.4, 0.4), vec![-0.7, -0.6, -0.55, -0.2, 0.2, 0.55, 0.6, 0.7]),
        (Function::LOG, (0.2, 1.0), vec![0.15, 0.2, 0.5, 0.9, 1.1, 1.4, 1.8, 1.9]),
        (Function::SIGMOID, (-4.0, -2.0), vec![-7.5, -6.0, -5.0, -4.5, -3.0, -2.5, -2.0, -1.5]),
        (Function::SQRT, (0.5, 1.0), vec![0.3, 0.4, 0.5, 0.9, 1.1, 1.4, 1.8, 1.9]),
        (Function::ERF, (-1.0, 1.0), vec![-1.9, -1.5, -1.1, -0.5, 0.5, 1.1, 1.5, 1.9]),
    ];
    for (function, (low, high), beyond) in cases {
        let mut random = Random(5);
        let shown = (0..40).map(|_| random.array(&[8], low, high)).collect();
        let off = off(function.name(), &of_input(function), shown, &Array::vector(beyond));
        assert!(off <= 12.0, "{}: off by {off} units", function.name());
    }
}

/// Far outside of its bounds, on either side, a function goes on as in floats.
#[test]
fn functions_saturate_beyond_their_bounds() {
    let functions = [
        Function::SIGMOID,
        Function::TANH,
        Function::ERF,
        Function::SOFTSIGN,
        Function::SIGN,
        Function::ATAN,
        Function::hard_sigmoid(0.2, 0.5),
        Function::GELU,
        Function::SOFTPLUS,
        Function::HARD_SWISH,
        Function::leaky_relu(0.1),
        Function::elu(1.0),
    ];
    for function in functions {
        for offset in [-4.0, 4.0] {
            let mut random = Random(7);
            let opposite = |p: f32, noise: f32| [p, noise - p];
            let mut one = || {
                let (p, noise) = (random.array(&[8], -4.0, 4.0), random.array(&[8], -0.2, 0.2));
                let pairs = p.data.iter().zip(noise.data.iter()).flat_map(|(&p, &n)| opposite(p, n));
                Array::new(vec![8, 2], pairs.collect()).unwrap()
            };
            let shown = (0..40).map(|_| one()).collect();
            let equal = [-4.0f32, -3.0, -2.2, -1.0, 1.0, 2.5, 3.0, 4.0].iter().flat_map(|&p| [p, p]);
            let beyond = Array::new(vec![8, 2], equal.collect()).unwrap();
            let name = format!("{} around {offset}", function.name());
            let off = off(&name, &of_layer(function, offset), shown, &beyond);
            assert!(off <= 16.0, "{name}: off by {off} units");
        }
    }
}

/// Steps go on as far as a comparison sees, four times beyond what was seen on either side.
#[test]
fn steps_go_on() {
    for function in [Function::FLOOR, Function::CEIL, Function::ROUND, Function::SIGN] {
        let mut random = Random(9);
        let shown = (0..40).map(|_| random.array(&[8, 2], -1.0, 1.0)).collect();
        let far = [-3.1f32, -2.4, -1.6, -0.4, 0.3, 1.6, 2.4, 3.1].iter().flat_map(|&p| [p, p]);
        let far = Array::new(vec![8, 2], far.collect()).unwrap();
        let off = off(function.name(), &of_layer(function, 0.05), shown, &far);
        assert!(off <= 4.0, "{}: off by {off} units", function.name());
    }
}
