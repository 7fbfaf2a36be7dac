//! Small programs, built by hand, over the plaintext reference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cryptflow_engine::{EngineError, Observer, Silent, StepRecord, Timeline, estimate, execute};
use cryptflow_mpc::{Clear, ClearValue, Cost, CostModel, Layout, Owner, Party, Protocol};
use cryptflow_program::operation::LinearTerm;
use cryptflow_program::{
    Activation, Input, Operation, Output, Program, Step, Value, ValueId, Weight, WeightId,
};
use cryptflow_ring::{LinearMap, Movement, Window};

const RING: u32 = 64;
const SCALE: u32 = 8;

/// A program of `steps`: each an operation, its inputs and the shape of its result. Value 0 is the input, value i + 1 is
/// the result of step i; the last one is the output. Values are dropped as early as possible.
fn program(input: &[usize], weights: &[&[usize]], steps: &[(Operation, &[usize], &[usize])]) -> Program {
    let value = |name: String, shape: &[usize]| Value {
        name,
        shape: shape.to_vec(),
        scale: SCALE,
        low: -1 << 20,
        high: 1 << 20,
        wide: true,
    };
    let mut values = vec![value("x".into(), input)];
    let mut built: Vec<Step> = Vec::new();
    for (i, (operation, inputs, shape)) in steps.iter().enumerate() {
        values.push(value(format!("node{i}"), shape));
        built.push(Step {
            name: format!("node{i}"),
            operation: operation.clone(),
            inputs: inputs.iter().map(|&i| ValueId(i)).collect(),
            output: ValueId(i + 1),
            last_uses: vec![],
        });
    }
    for id in 0..steps.len() {
        if let Some(step) = built.iter_mut().rev().find(|s| s.inputs.contains(&ValueId(id))) {
            step.last_uses.push(ValueId(id));
        }
    }
    Program {
        version: 1,
        name: "by hand".into(),
        ring_bits: RING,
        scale: SCALE,
        inputs: vec![Input {
            name: "x".into(),
            value: ValueId(0),
            low: -100.0,
            high: 100.0,
            preprocessing: Default::default(),
        }],
        outputs: vec![Output { name: "y".into(), value: ValueId(steps.len()), transform: None }],
        values,
        weights: weights
            .iter()
            .enumerate()
            .map(|(i, shape)| Weight { name: format!("w{i}"), shape: shape.to_vec(), scale: SCALE })
            .collect(),
        steps: built,
    }
}

fn linear(map: LinearMap, bias: Option<usize>) -> Operation {
    let term = LinearTerm { input: 0, weight: WeightId(0), map };
    Operation::Linear { terms: vec![term], bias: bias.map(WeightId), shift: SCALE }
}

fn relu() -> Operation {
    Operation::Activation { function: Activation::Relu, compare_bits: 32, widen: true }
}

fn matmul() -> LinearMap {
    LinearMap::MatMul { rows: 1, inner: 3, columns: 2 }
}

/// Runs a program over the reference; whole numbers in and out, scaled inside.
fn run(
    program: &Program,
    weights: &[&[i64]],
    input: &[i64],
    observer: &mut dyn Observer,
) -> Result<Vec<i64>, EngineError> {
    let mut clear = Clear::checked(Party::P1, RING);
    let scaled = |x: &[i64], bits: u32| {
        ClearValue::from_signed(&x.iter().map(|v| v << bits).collect::<Vec<_>>(), RING)
    };
    let weights: Vec<ClearValue> = weights
        .iter()
        .zip(&program.weights)
        // Biases are at the scale of products.
        .map(|(w, declared)| scaled(w, if declared.shape.len() == 1 { 2 * SCALE } else { SCALE }))
        .collect();
    let outputs = execute(&mut clear, program, &weights, vec![scaled(input, SCALE)], observer)?;
    let part = clear.reveal(&outputs[0]).unwrap();
    let len = program.values.last().unwrap().shape.iter().product();
    Ok(clear.open(len, &[&part, &part, &part]).unwrap().iter().map(|v| v >> SCALE).collect())
}

fn window(kernel: usize, stride: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], padding: [[0; 2]; 2] }
}

#[test]
fn programs_compute_what_their_steps_say() {
    let image = [1, 4, 4, 1];
    let pixels: Vec<i64> = (0..16).collect();
    let w: &[i64] = &[1, 2, 3, -4, 5, 6];
    struct Problem<'a> {
        program: Program,
        weights: Vec<&'a [i64]>,
        input: Vec<i64>,
        output: Vec<i64>,
    }
    let problems = [
        Problem {
            program: program(&[1, 3], &[&[3, 2], &[2]], &[(linear(matmul(), Some(1)), &[0], &[1, 2])]),
            weights: vec![w, &[100, -100]],
            input: vec![1, 10, 100],
            output: vec![100 + 1 + 30 + 500, -100 + 2 - 40 + 600],
        },
        // A residual: relu(x·w) + x·w, where the product is used twice.
        Problem {
            program: program(
                &[1, 3],
                &[&[3, 2]],
                &[
                    (linear(matmul(), None), &[0], &[1, 2]),
                    (Operation::Widen, &[1], &[1, 2]),
                    (relu(), &[2], &[1, 2]),
                    (Operation::Add, &[3, 2], &[1, 2]),
                    (Operation::Sub, &[4, 3], &[1, 2]),
                    (Operation::Add, &[5, 3], &[1, 2]),
                ],
            ),
            weights: vec![w],
            input: vec![1, 1, 0],
            output: vec![8, -2],
        },
        Problem {
            program: program(
                &image,
                &[],
                &[
                    (
                        Operation::MaxPool { input: image, window: window(2, 2), compare_bits: 32 },
                        &[0],
                        &[1, 2, 2, 1],
                    ),
                    (
                        Operation::Activation {
                            function: Activation::ClippedRelu { limit: 10 << SCALE },
                            compare_bits: 32,
                            widen: true,
                        },
                        &[1],
                        &[1, 2, 2, 1],
                    ),
                    (Operation::SumPool { input: [1, 2, 2, 1], window: window(2, 1) }, &[2], &[1, 1, 1, 1]),
                    (Operation::ScalePublic { factors: vec![1 << (SCALE - 1)], shift: SCALE }, &[3], &[1, 1]),
                ],
            ),
            weights: vec![],
            input: pixels.clone(),
            output: vec![(5 + 7 + 10 + 10) / 2],
        },
        Problem {
            program: program(
                &[1, 4],
                &[],
                &[
                    (Operation::Movement(Movement::Reshape { shape: vec![2, 2] }), &[0], &[2, 2]),
                    (Operation::Movement(Movement::Transpose { permutation: vec![1, 0] }), &[1], &[2, 2]),
                    (Operation::Movement(Movement::Concat { axis: 1 }), &[2, 1], &[2, 4]),
                ],
            ),
            weights: vec![],
            input: vec![1, 2, 3, 4],
            output: vec![1, 3, 1, 2, 2, 4, 3, 4],
        },
    ];
    for problem in problems {
        let mut timeline = Timeline::default();
        let output = run(&problem.program, &problem.weights, &problem.input, &mut timeline).unwrap();
        assert_eq!(output, problem.output);
        assert_eq!(timeline.records.len(), problem.program.steps.len());
    }
}

#[test]
fn errors_name_the_step() {
    let good = || {
        program(
            &[1, 3],
            &[&[3, 2]],
            &[
                (linear(matmul(), None), &[0], &[1, 2]),
                (Operation::Widen, &[1], &[1, 2]),
                (relu(), &[2], &[1, 2]),
            ],
        )
    };
    type Change = fn(&mut Program);
    // (what is changed, what the error says)
    let table: [(Change, &str); 8] = [
        (|p| p.steps[1].inputs.clear(), "step 2 of 3, widen \"node1\", is malformed: it has no input 0"),
        (|p| p.steps[1].inputs[0] = ValueId(99), "step 2 of 3, widen \"node1\", is malformed: value 99"),
        (|p| p.steps[2].inputs[0] = ValueId(1), "value 1 was not computed yet, or was dropped already"),
        (
            |p| p.steps[2].output = ValueId(99),
            "step 3 of 3, relu \"node2\", is malformed: there is no value 99",
        ),
        (|p| p.steps.truncate(2), "no step computes the output \"y\""),
        (|p| p.inputs[0].value = ValueId(99), "\"x\""),
        (|p| p.weights.clear(), "the program needs 0 weights, and 1 were given"),
        (
            |p| {
                p.steps[2].operation =
                    Operation::Activation { function: Activation::Relu, compare_bits: 4, widen: true }
            },
            "step 3 of 3, relu \"node2\": relu cannot be computed",
        ),
    ];
    for (change, expected) in table {
        let mut program = good();
        change(&mut program);
        let mut clear = Clear::checked(Party::P0, RING);
        let weight = ClearValue::from_signed(&[1 << SCALE; 6], RING);
        let input = ClearValue::from_signed(&[1 << SCALE; 3], RING);
        let error =
            execute(&mut clear, &program, &[weight], vec![input], &mut Silent).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nnot: {expected}");
    }
    assert_eq!(run(&good(), &[&[1; 6]], &[1; 3], &mut Silent).unwrap(), [3, 3]);
}

#[test]
fn observers_see_every_step_in_order() {
    #[derive(Default)]
    struct Log(Vec<String>);
    impl Observer for Log {
        fn started(&mut self, index: usize, step: &Step) {
            self.0.push(format!("{index} {}", step.name));
        }
        fn finished(&mut self, index: usize, _: &Step, record: &StepRecord) {
            assert!(record.seconds >= 0.0 && record.rounds == 0 && record.sent == [0; 3]);
            self.0.push(format!("{index} done"));
        }
    }
    let program = program(&[1, 2], &[], &[(relu(), &[0], &[1, 2]), (Operation::Add, &[1, 1], &[1, 2])]);
    let mut log = Log::default();
    assert_eq!(run(&program, &[], &[3, -3], &mut log).unwrap(), [6, 0]);
    assert_eq!(log.0, ["0 node0", "0 done", "1 node1", "1 done"]);
}

#[test]
fn time_lines_add_up_by_operation() {
    let program = program(
        &[1, 2],
        &[],
        &[(relu(), &[0], &[1, 2]), (Operation::Add, &[1, 1], &[1, 2]), (relu(), &[2], &[1, 2])],
    );
    let record = |seconds, rounds, to_p1| StepRecord { seconds, rounds, sent: vec![0, to_p1, 0] };
    let timeline = Timeline { records: vec![record(1.0, 2, 30), record(5.0, 0, 0), record(2.0, 3, 40)] };
    assert_eq!(timeline.by_operation(&program), [("add", record(5.0, 0, 0)), ("relu", record(3.0, 5, 70))]);
}

/// A protocol in which every operation sends its result from P0 to P1 in one round, in as many bytes as its ring has bits.
struct Toy;

fn toy(layout: Layout) -> (Cost, Layout) {
    let bytes = layout.len as u64 * u64::from(layout.bits);
    (Cost { rounds: 1, bytes: [[0, bytes], [0, 0]].into() }, layout)
}

impl CostModel for Toy {
    fn wide(&self, len: usize, ring_bits: u32) -> Layout {
        Layout { len, bits: ring_bits }
    }
    fn linear(&self, _: &[&LinearMap], sum: Layout, shift: u32) -> (Cost, Layout) {
        toy(Layout { bits: sum.bits - shift, ..sum })
    }
    fn product(&self, map: &LinearMap, x: Layout, _: Layout, shift: u32) -> (Cost, Layout) {
        toy(Layout { len: map.output_len(), bits: x.bits - shift })
    }
    fn compare(&self, x: Layout, thresholds: usize, _: u32, ring_bits: u32) -> (Cost, Layout) {
        toy(Layout { len: thresholds * x.len, bits: ring_bits })
    }
    fn scale_public(&self, x: Layout, shift: u32) -> (Cost, Layout) {
        toy(Layout { bits: x.bits - shift, ..x })
    }
    fn widen(&self, x: Layout, ring_bits: u32) -> (Cost, Layout) {
        toy(Layout { bits: ring_bits, ..x })
    }
    fn relu(&self, x: Layout, _: u32, widen_to: Option<u32>) -> (Cost, Layout) {
        toy(Layout { bits: widen_to.unwrap_or(x.bits), ..x })
    }
    fn clipped_relu(&self, x: Layout, c: u32, widen_to: Option<u32>) -> (Cost, Layout) {
        self.relu(x, c, widen_to)
    }
    fn max_pool(&self, x: Layout, input: [usize; 4], window: &Window, _: u32) -> (Cost, Layout) {
        self.sum_pool(x, input, window)
    }
    fn sum_pool(&self, x: Layout, [n, h, w, c]: [usize; 4], window: &Window) -> (Cost, Layout) {
        let [h, w] = window.output([h, w]).unwrap();
        toy(Layout { len: n * h * w * c, ..x })
    }
    fn add(&self, x: Layout, y: Layout) -> (Cost, Layout) {
        (Cost::FREE, Layout { bits: x.bits.min(y.bits), ..x })
    }
    fn movement(&self, _: &Movement, inputs: &[Layout], len: usize) -> (Cost, Layout) {
        (Cost::FREE, Layout { len, ..inputs[0] })
    }
}

#[test]
fn estimates_follow_the_layouts() {
    let program = program(
        &[1, 3],
        &[&[3, 2]],
        &[
            (linear(matmul(), None), &[0], &[1, 2]),
            (relu(), &[1], &[1, 2]),
            (Operation::Add, &[2, 1], &[1, 2]),
            (Operation::Movement(Movement::Reshape { shape: vec![2] }), &[3], &[2]),
            (Operation::Widen, &[4], &[2]),
        ],
    );
    let estimate = estimate(&program, &Toy).unwrap();
    let bytes: Vec<u64> = estimate.steps.iter().map(Cost::total).collect();
    assert_eq!(bytes, [2 * 56, 2 * 64, 0, 0, 2 * 64]);
    assert_eq!((estimate.total.total(), estimate.total.rounds), (368, 3));
}
