//! A small valid program that has every operation, and its weights.

use cryptflow_program::{
    Activation, Input, Linear, LinearTerm, MaxPool, OLDEST, Operation, Output, OutputTransform,
    Preprocessing, Program, Rectifier, ScalePublic, Step, SumPool, Value, ValueId, Weight, WeightId,
    liveness,
};
use cryptflow_ring::{Conv2d, LinearMap, Movement, Window};

fn value(name: &str, shape: &[usize], low: i64, high: i64, wide: bool) -> Value {
    Value { name: name.into(), shape: shape.into(), scale: 8, low, high, wide, ring: None }
}

fn step(name: &str, operation: Operation, inputs: &[usize], output: usize) -> Step {
    Step {
        name: name.into(),
        operation,
        inputs: inputs.iter().map(|&i| ValueId(i)).collect(),
        output: ValueId(output),
        last_uses: Vec::new(),
    }
}

fn weight(name: &str, shape: &[usize], scale: u32) -> Weight {
    Weight { name: name.into(), shape: shape.into(), scale }
}

pub(crate) fn window(kernel: usize, stride: usize, padding: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], padding: [[padding; 2]; 2] }
}

/// Ring of 40 bits; a linear step with a shift by 10 leaves 29, the public scale by 12 leaves 28.
pub(crate) fn program() -> Program {
    let conv = Conv2d {
        batch: 1,
        input: [4, 4],
        in_channels: 2,
        out_channels: 3,
        groups: 1,
        window: window(3, 1, 1),
    };
    let term = |input, weight, map| LinearTerm { input, weight: WeightId(weight), map };
    let relu = |compare_bits, widen| {
        Operation::Activation(Activation { function: Rectifier::Relu, compare_bits, skipped: 0, widen })
    };
    let mut program = Program {
        version: OLDEST,
        name: "sample".into(),
        ring_bits: 40,
        scale: 8,
        batch: Default::default(),
        bits_per_round: None,
        inputs: vec![Input {
            name: "x".into(),
            value: ValueId(0),
            low: -1.5,
            high: 0.1 + 0.2,
            preprocessing: Preprocessing {
                divide: Some(255.0),
                mean: vec![0.485, 0.456],
                ..Default::default()
            },
            factors: vec![1.0, 4.0],
            classes: None,
        }],
        outputs: vec![Output {
            name: "softmax".into(),
            value: ValueId(11),
            transform: Some(OutputTransform::Softmax),
            digits: None,
            equal: 0,
            classes: None,
        }],
        guard: None,
        values: vec![
            value("x", &[1, 4, 4, 2], -384, 256, true),
            value("conv", &[1, 4, 4, 3], -4096, 4095, false),
            value("pool", &[1, 2, 2, 3], -4096, 4095, false),
            value("relu", &[1, 2, 2, 3], 0, 4095, true),
            value("sum", &[1, 1, 1, 3], 0, 16380, true),
            value("mean", &[1, 1, 1, 3], 0, 4095, false),
            value("mean", &[1, 1, 1, 3], 0, 4095, true),
            value("clipped", &[1, 2, 2, 3], 0, 1536, true),
            value("flat", &[1, 3], 0, 4095, true),
            value("dense", &[1, 12], -9000, 9000, false),
            value("rest", &[1, 12], 0, 1536, true),
            value("logits", &[1, 12], -9000, 10536, false),
        ],
        weights: vec![
            weight("conv/w", &[3, 3, 2, 3], 10),
            weight("conv/b", &[3], 18),
            weight("dense/w", &[3, 12], 10),
        ],
        steps: vec![
            step(
                "conv",
                Operation::Linear(Linear {
                    terms: vec![term(0, 0, LinearMap::Conv2d(conv))],
                    bias: Some(WeightId(1)),
                    shift: 10,
                }),
                &[0],
                1,
            ),
            step(
                "pool",
                Operation::MaxPool(MaxPool {
                    input: [1, 4, 4, 3],
                    window: window(2, 2, 0),
                    compare_bits: 14,
                    skipped: 0,
                }),
                &[1],
                2,
            ),
            step("relu", relu(13, true), &[2], 3),
            step(
                "mean",
                Operation::SumPool(SumPool { input: [1, 2, 2, 3], window: window(2, 1, 0) }),
                &[3],
                4,
            ),
            step("mean", Operation::ScalePublic(ScalePublic { factors: vec![1024], shift: 12 }), &[4], 5),
            step("mean", Operation::Widen, &[5], 6),
            step(
                "clipped",
                Operation::Activation(Activation {
                    function: Rectifier::ClippedRelu { limit: 6 << 8 },
                    compare_bits: 13,
                    skipped: 0,
                    widen: false,
                }),
                &[3],
                7,
            ),
            step("flat", Operation::Movement(Movement::Reshape { shape: vec![1, 3] }), &[6], 8),
            step(
                "dense",
                Operation::Linear(Linear {
                    terms: vec![term(0, 2, LinearMap::MatMul { rows: 1, inner: 3, columns: 12 })],
                    bias: None,
                    shift: 10,
                }),
                &[8],
                9,
            ),
            step("rest", Operation::Movement(Movement::Reshape { shape: vec![1, 12] }), &[7], 10),
            step("logits", Operation::Add, &[9, 10], 11),
        ],
    };
    liveness::fill_last_uses(&mut program);
    program
}
