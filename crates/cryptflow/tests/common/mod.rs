//! A tiny model for tests of whole processes: two layers, two rows a batch.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};

use cryptflow_arrays::npy::{Tensor, write_npy};
use cryptflow_model_file as file;
use cryptflow_program::{
    Activation, Input, Linear, LinearTerm, OLDEST, Operation, Output, OutputTransform, Program, Rectifier,
    Step, Value, ValueId, Weight, WeightId, liveness, validate,
};
use cryptflow_ring::LinearMap;

pub(crate) const SCALE: u32 = 12;
pub(crate) const BATCH: usize = 2;
const UNIT: i64 = 1 << SCALE;

/// First layer `[4, 3]`, its bias, second layer `[3, 3]`: whole numbers.
const W0: [i64; 12] = [1, -1, 2, 0, 3, -2, 1, 1, 1, -1, 0, 2];
const B0: [i64; 3] = [1, -2, 0];
const W1: [i64; 9] = [1, 2, 0, -1, 1, 1, 0, 1, -1];

/// relu(x · W0 + B0) · W1, in whole numbers.
pub(crate) fn expected(x: &[f32; 4]) -> [f32; 3] {
    let mut hidden = B0.map(|b| b as f32);
    for (i, v) in x.iter().enumerate() {
        for (j, h) in hidden.iter_mut().enumerate() {
            *h += v * W0[i * 3 + j] as f32;
        }
    }
    let mut logits = [0.0; 3];
    for (i, h) in hidden.iter().enumerate() {
        for (j, y) in logits.iter_mut().enumerate() {
            *y += h.max(0.0) * W1[i * 3 + j] as f32;
        }
    }
    logits
}

/// The compiled model.
pub(crate) fn program() -> (Program, Vec<Vec<i64>>) {
    let value = |name: &str, columns: usize, wide: bool| Value {
        name: name.into(),
        shape: vec![BATCH, columns],
        scale: SCALE,
        low: -1000 * UNIT,
        high: 1000 * UNIT,
        wide,
        ring: None,
    };
    let weight =
        |name: &str, shape: &[usize], scale: u32| Weight { name: name.into(), shape: shape.to_vec(), scale };
    let layer = |inner: usize, weight: usize, bias: Option<usize>| {
        Operation::Linear(Linear {
            terms: vec![LinearTerm {
                input: 0,
                weight: WeightId(weight),
                map: LinearMap::MatMul { rows: BATCH, inner, columns: 3 },
            }],
            bias: bias.map(WeightId),
            shift: SCALE,
        })
    };
    let relu = Operation::Activation(Activation {
        function: Rectifier::Relu,
        compare_bits: 32,
        skipped: 0,
        widen: true,
    });
    let operations = [("hidden", layer(4, 0, Some(1))), ("hidden/relu", relu), ("logits", layer(3, 2, None))];
    let outputs = vec![Output {
        name: "softmax".into(),
        value: ValueId(3),
        transform: Some(OutputTransform::Softmax),
        digits: None,
        equal: 0,
        classes: None,
    }];
    let steps: Vec<Step> = operations
        .into_iter()
        .enumerate()
        .map(|(i, (name, operation))| Step {
            name: name.into(),
            operation,
            inputs: vec![ValueId(i)],
            output: ValueId(i + 1),
            last_uses: vec![],
        })
        .collect();
    let mut program = Program {
        version: OLDEST,
        name: "tiny".into(),
        ring_bits: 64,
        scale: SCALE,
        batch: Default::default(),
        bits_per_round: None,
        inputs: vec![Input {
            name: "x".into(),
            value: ValueId(0),
            low: -10.0,
            high: 10.0,
            preprocessing: Default::default(),
            factors: Vec::new(),
            classes: None,
        }],
        outputs,
        guard: None,
        values: vec![
            value("x", 4, true),
            value("hidden", 3, false),
            value("hidden/relu", 3, true),
            value("logits", 3, false),
        ],
        weights: vec![
            weight("w0", &[4, 3], SCALE),
            weight("b0", &[3], 2 * SCALE),
            weight("w1", &[3, 3], SCALE),
        ],
        steps,
    };
    liveness::fill_last_uses(&mut program);
    let scaled = |w: &[i64], scale: u32| w.iter().map(|v| v << scale).collect();
    (program, vec![scaled(&W0, SCALE), scaled(&B0, 2 * SCALE), scaled(&W1, SCALE)])
}

/// Rows of small whole numbers.
pub(crate) fn rows(n: usize) -> Vec<[f32; 4]> {
    (0..n).map(|i| std::array::from_fn(|j| ((i * 7 + j * 5) % 13) as f32 - 6.0)).collect()
}

/// Writes the model and `n` rows into a folder.
pub(crate) fn write(folder: &Path, n: usize) -> (PathBuf, PathBuf) {
    let (model, input) = (folder.join("m.safetensors"), folder.join("x.npy"));
    let (program, weights) = program();
    let program = validate(program).unwrap();
    file::write(&model, &program, &weights, None).unwrap();
    let tensor = Tensor { shape: vec![n, 4], data: rows(n).concat() };
    write_npy(&mut std::fs::File::create(&input).unwrap(), &tensor).unwrap();
    (model, input)
}
