//! Columns of an input that are of very different size.

use cryptflow_athos::compile::{Bounds, CompileOptions, compile};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_graph::{Arithmetic, Array, Comparison, Function, Graph, Linear, float};
use cryptflow_program::Program;
use cryptflow_ring::Movement;

use crate::fix::executor::Naive;
use crate::fix::graphs::Random;

/// What columns are about, and how far from that.
const COLUMNS: [(f32, f32); 3] = [(1e4, 3e3), (1e-3, 1e-4), (0.0, 1.0)];

/// A normalisation, a layer and tanh; `normalised`: by its own nodes, or in the layer's weights.
fn graph(normalised: bool) -> Graph {
    let mut g = Graph::default();
    let mut x = g.add_input("x", vec![1, 3]);
    let mut weights = vec![0.5f32, -0.8, 0.7, 0.9, 0.4, -0.6];
    let mut bias = vec![0.0f32, 0.0];
    if normalised {
        let mean = g.add_constant("mean", Array::vector(COLUMNS.iter().map(|c| c.0).collect()));
        let spread = g.add_constant("spread", Array::vector(COLUMNS.iter().map(|c| c.1).collect()));
        x = g.add("centred", Arithmetic::Sub, &[x, mean]).unwrap();
        x = g.add("normal", Arithmetic::Div, &[x, spread]).unwrap();
    } else {
        for (i, (mean, spread)) in COLUMNS.iter().enumerate() {
            for j in 0..2 {
                weights[2 * i + j] /= spread;
                bias[j] -= weights[2 * i + j] * mean;
            }
        }
    }
    let w = g.add_constant("w", Array::new(vec![3, 2], weights).unwrap());
    let b = g.add_constant("b", Array::vector(bias));
    let layer = Linear::MatMul { transpose_a: false, transpose_b: false };
    let y = g.add("layer", layer, &[x, w, b]).unwrap();
    let y = g.add("y", Function::TANH, &[y]).unwrap();
    g.add_output("y", y);
    g
}

fn rows(count: usize, seed: u64) -> Vec<Array> {
    let mut random = Random(seed);
    let mut row = || {
        let noise = random.array(&[1, 3], -1.7, 1.7);
        let data = noise.data.iter().zip(COLUMNS).map(|(v, (mean, spread))| mean + v * spread).collect();
        Array::new(vec![1, 3], data).unwrap()
    };
    (0..count).map(|_| row()).collect()
}

fn encoded(program: &Program, row: &Array) -> Vec<Vec<i64>> {
    let input = &program.inputs[0];
    let unit = f64::from(program.scale_of(input.value)).exp2();
    let scaled = row.data.iter().zip(input.factors.iter().cycle());
    vec![scaled.map(|(&v, f)| (f64::from(v) * f * unit).round() as i64).collect()]
}

#[test]
fn each_column_is_as_precise_as_it_has_to_be() {
    for normalised in [true, false] {
        let graph = graph(normalised);
        let bounds = Bounds::Examples(rows(64, 1).into_iter().map(|row| vec![row]).collect());
        let model =
            compile(&graph, bounds, &CompileOptions::default(), &Naive::noisy(2), &mut |_| ()).unwrap();
        let factors = &model.program.inputs[0].factors;
        assert!(factors[0] == 1.0 && factors[1] >= 1024.0 && factors[2] > 1.0, "{factors:?}");
        // They cost no layer of their own.
        let first = &model.program.steps[0];
        assert_eq!(first.operation.name(), "matmul", "{}", first.name);
        let output = &model.program.outputs[0];
        let unit = f64::from(model.program.scale_of(output.value)).exp2();
        for row in rows(40, 7) {
            let inputs = encoded(&model.program, &row);
            let run = Naive::noisy(3).run(&model.program, &model.weights, &inputs, &mut |_, _| ());
            let wanted = float::run(&graph, &[row], &mut |_, _| ()).unwrap();
            for (&y, &w) in run.unwrap()[0].iter().zip(wanted[0].data.iter()) {
                let off = (y as f64 / unit - f64::from(w)).abs();
                assert!(off <= 4e-3, "{normalised}: off by {off}");
            }
        }
    }
}

#[test]
fn columns_that_are_alike_are_as_they_are() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![1, 3]);
    let y = g.add("y", Function::TANH, &[x]).unwrap();
    g.add_output("y", y);
    let mut random = Random(3);
    let examples = (0..40).map(|_| vec![random.array(&[1, 3], -1.0, 1.0)]).collect();
    let bounds = Bounds::Examples(examples);
    let model = compile(&g, bounds, &CompileOptions::default(), &Naive::exact(), &mut |_| ()).unwrap();
    assert!(model.program.inputs[0].factors.is_empty());
}

/// A threshold that one column alone is compared with is as precise as that column: nothing is divided,
/// and so nothing rounded, before the comparison, whatever leads there.
#[test]
fn thresholds_are_as_precise_as_their_columns() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![1, 3]);
    let mut flags = Vec::new();
    for (column, (mean, _)) in COLUMNS.iter().enumerate() {
        let gather = Movement::Gather { axis: 1, indices: vec![column] };
        let picked = g.add(format!("picked{column}"), gather, &[x]).unwrap();
        let threshold = g.add_constant(format!("threshold{column}"), Array::scalar(*mean));
        let above = Arithmetic::Compare(Comparison::GreaterEqual);
        flags.push(g.add(format!("above{column}"), above, &[picked, threshold]).unwrap());
    }
    let all = g.add("all", Movement::Concat { axis: 1 }, &flags).unwrap();
    g.add_output("all", all);
    let bounds = Bounds::Examples(rows(64, 1).into_iter().map(|row| vec![row]).collect());
    let model = compile(&g, bounds, &CompileOptions::default(), &Naive::noisy(2), &mut |_| ()).unwrap();
    let kinds: Vec<&str> = model.program.steps.iter().map(|step| step.operation.name()).collect();
    assert!(!kinds.iter().any(|kind| ["scale", "matmul", "public factor"].contains(kind)), "{kinds:?}");
    // Next to the threshold on either side, and on it.
    for (side, expected) in [(-1.0f32, 0), (0.0, 1), (1.0, 1)] {
        let data = COLUMNS.iter().map(|(mean, spread)| mean + side * spread / 512.0).collect();
        let row = Array::new(vec![1, 3], data).unwrap();
        let inputs = encoded(&model.program, &row);
        let run = Naive::noisy(3).run(&model.program, &model.weights, &inputs, &mut |_, _| ()).unwrap();
        assert_eq!(run[0], [expected; 3], "{side}");
    }
}
