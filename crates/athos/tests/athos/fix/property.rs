//! Random graphs: the fixed-point value of every node is within an error that follows from the
//! program alone.
//!
//! With u the unit 2^−f: a truncation adds at most 1.5 u; a weight with w fractional bits is
//! rounded by at most 2^−(w+1), a public factor likewise; and every operation passes on the errors
//! of its operands as its formula says.

use std::collections::HashMap;

use cryptflow_athos::compile::{CompileOptions, Compiled, Ring, Scale};
use cryptflow_athos::fix::FixedRunner;
use cryptflow_graph::{Activation, Arithmetic, Array, Graph, NodeId, Op, Pool, Pooling, float};
use cryptflow_program::{Linear, Operation, Program, ScalePublic, Step, SumPool, ValueId};
use cryptflow_ring::Movement;

use crate::fix::executor::Naive;
use crate::fix::graphs::{Builder, Random, window};
use crate::fix::small::{compiled, encoded, examples};

/// A random network of `[1, 6, 6, c]`.
fn network(seed: u64) -> Graph {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut pick = move |n: usize| (((random.next() + 1.0) / 2.0 * n as f32) as usize).min(n - 1);
    let mut b = Builder::new(seed);
    let mut x = b.input(&[1, 6, 6, 2]);
    let mut before: Vec<NodeId> = Vec::new();
    for _ in 0..3 + pick(5) {
        let [_, h, w, c] = <[usize; 4]>::try_from(b.graph.node(x).shape.as_slice()).unwrap();
        let y = match pick(9) {
            0 | 1 => {
                let out = 1 + pick(4);
                b.conv(x, [3.min(h), 3.min(w), c, out], 1, usize::from(h >= 3 && w >= 3), 1)
            }
            2 => b.conv(x, [1, 1, 1, c], 1, 0, c),
            3 => b.relu(x),
            4 => b.add(Activation::ClippedRelu { limit: 0.7 }, &[x]),
            5 if h >= 2 && w >= 2 => {
                b.add(Pool { kind: Pooling::Max, window: window(2, 1 + pick(2), 0, 0) }, &[x])
            }
            6 if h >= 3 && w >= 3 => b.add(
                Pool {
                    kind: Pooling::Average { count_padding: pick(2) == 0 },
                    window: window(3, 1 + pick(2), 1, 1),
                },
                &[x],
            ),
            7 => {
                let same =
                    before.iter().find(|&&id| b.graph.node(id).shape == b.graph.node(x).shape).copied();
                let op = if pick(2) == 0 {
                    Op::Arithmetic(Arithmetic::Add)
                } else {
                    Op::Arithmetic(Arithmetic::Sub)
                };
                b.add(op, &[x, same.unwrap_or(x)])
            }
            _ => match before.iter().find(|&&id| b.graph.node(id).shape[1..3] == [h, w]).copied() {
                Some(id) => b.add(Movement::Concat { axis: 3 }, &[x, id]),
                None => b.add(Movement::Transpose { permutation: vec![0, 2, 1, 3] }, &[x]),
            },
        };
        before.push(x);
        x = y;
    }
    b.output(x)
}

/// The largest error of a step's result, for the errors and the largest magnitudes of its operands,
/// in real numbers.
fn allowed(program: &Program, weights: &[Vec<i64>], step: &Step, errors: &[f64], sizes: &[f64]) -> f64 {
    let unit = (-f64::from(program.scale_of(step.output))).exp2();
    match &step.operation {
        Operation::Linear(Linear { terms, .. }) => {
            let term = |t: &cryptflow_program::LinearTerm| {
                let per_weight = (-f64::from(program.weights[t.weight.0].scale)).exp2();
                let columns = t.map.out_channels();
                let column = |c: usize| {
                    let w = weights[t.weight.0].iter().skip(c).step_by(columns);
                    w.map(|w| w.unsigned_abs() as f64 * per_weight).sum::<f64>()
                };
                let heaviest = (0..columns).map(column).fold(0.0, f64::max);
                let terms = t.map.terms() as f64;
                (heaviest + terms * per_weight / 2.0) * errors[t.input]
                    + terms * per_weight / 2.0 * sizes[t.input]
            };
            terms.iter().map(term).sum::<f64>() + 1.5 * unit + unit / 2.0
        }
        Operation::ScalePublic(ScalePublic { factors, shift }) => {
            let step = (-f64::from(*shift)).exp2();
            let largest = factors.iter().map(|&f| (f as i64).unsigned_abs()).max().unwrap() as f64 * step;
            largest * errors[0] + step / 2.0 * sizes[0] + 1.5 * unit
        }
        Operation::SumPool(SumPool { window, .. }) => {
            errors[0] * (window.kernel[0] * window.kernel[1]) as f64
        }
        Operation::Add | Operation::Sub => errors[0] + errors[1],
        // The limit is rounded to a unit.
        Operation::Activation(_) => errors[0] + unit / 2.0,
        _ => errors.iter().copied().fold(0.0, f64::max),
    }
}

fn check(seed: u64, graph: &Graph, model: &Compiled, example: &[Array]) {
    let program = &model.program;
    let unit = |id: ValueId| f64::from(program.scale_of(id)).exp2();
    let mut floats: HashMap<String, Array> = HashMap::new();
    float::run(graph, example, &mut |id, value| {
        floats.insert(graph.node(id).name.clone(), value.clone());
    })
    .unwrap();
    let inputs: Vec<Vec<i64>> = encoded(program, example);
    let size = |id: ValueId, data: &[i64]| {
        data.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0) as f64 / unit(id)
    };
    let mut errors = vec![0.0; program.values.len()];
    let mut sizes = vec![0.0; program.values.len()];
    for (i, input) in inputs.iter().enumerate() {
        (errors[i], sizes[i]) = (0.5 / unit(ValueId(i)), size(ValueId(i), input));
    }
    let mut steps = program.steps.iter().enumerate();
    Naive::noisy(seed)
        .run(program, &model.weights, &inputs, &mut |id, data| {
            let (at, step) = steps.next().unwrap();
            let of = |all: &[f64]| step.inputs.iter().map(|i| all[i.0]).collect::<Vec<f64>>();
            errors[id.0] = allowed(program, &model.weights, step, &of(&errors), &of(&sizes));
            sizes[id.0] = size(id, data);
            // The last step of a name gives the node's value.
            if program.steps[at + 1..].iter().any(|s| s.name == step.name) {
                return;
            }
            let float = &floats[&step.name];
            assert_eq!(float.data.len(), data.len());
            for (&a, &b) in data.iter().zip(float.data.iter()) {
                let error = (a as f64 / unit(id) - f64::from(b)).abs();
                // The float run itself rounds to 24 bits.
                let slack = sizes[id.0] * 1e-5;
                assert!(
                    error <= errors[id.0] + slack,
                    "seed {seed}, {}: {error} > {}",
                    step.name,
                    errors[id.0]
                );
            }
        })
        .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
}

#[test]
fn every_value_is_within_its_error() {
    for seed in 0..60 {
        let graph = network(seed);
        for (scale, ring) in [(8, Ring::Bits(64)), (13, Ring::Auto)] {
            let model = compiled(
                &graph,
                &CompileOptions { scale: Scale::Bits(scale), ring, ..CompileOptions::default() },
            );
            for example in examples(&graph, 2, seed + 1000) {
                check(seed, &graph, &model, &example);
            }
        }
    }
}
