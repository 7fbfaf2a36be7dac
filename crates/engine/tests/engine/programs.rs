//! Small programs, built by hand, over the plaintext reference.

use cryptflow_engine::{
    EngineError, Observer, Silent, StepRecord, Timeline, estimate, execute, input_check, price_of_a_bit,
};
use cryptflow_mpc::{Clear, ClearValue, Cost, CostModel, Error, Layout, Owner, Party, Place, Protocol};
use cryptflow_program::{
    Activation, Bounds, Checked, Linear, LinearTerm, MaxPool, Operation, Rectifier, ScalePublic, Step,
    SumPool, WeightId,
};
use cryptflow_ring::{LinearMap, Movement, Window};

use super::build::{self, SCALE};

const RING: u32 = 64;

fn program(input: &[usize], weights: &[&[usize]], steps: &[(Operation, &[usize], &[usize])]) -> Checked {
    build::program(RING, input, weights, steps)
}

fn linear(map: LinearMap, bias: Option<usize>) -> Operation {
    let term = LinearTerm { input: 0, weight: WeightId(0), map };
    Operation::Linear(Linear { terms: vec![term], bias: bias.map(WeightId), shift: SCALE })
}

fn relu() -> Operation {
    Operation::Activation(Activation { function: Rectifier::Relu, compare_bits: 32, skipped: 0, widen: true })
}

fn matmul() -> LinearMap {
    LinearMap::MatMul { rows: 1, inner: 3, columns: 2 }
}

/// Runs a program over the reference; whole numbers in and out, scaled inside.
fn run(
    program: &Checked,
    weights: &[&[i64]],
    input: &[i64],
    observer: &mut dyn Observer<ClearValue>,
) -> Result<Vec<i64>, EngineError> {
    let mut clear = Clear::checked(Party::P1, RING);
    let scaled = |x: &[i64], bits: u32| {
        ClearValue::from_signed(&x.iter().map(|v| v << bits).collect::<Vec<_>>(), RING)
    };
    let weights: Vec<ClearValue> =
        weights.iter().zip(&program.weights).map(|(w, declared)| scaled(w, declared.scale)).collect();
    let outputs = execute(&mut clear, program, &weights, vec![scaled(input, SCALE)], observer)?;
    let part = clear.reveal(&outputs[0]).unwrap();
    let len = program.values.last().unwrap().shape.iter().product();
    Ok(clear.open(len, &[&part, &part, &part]).unwrap().iter().map(|v| v >> SCALE).collect())
}

fn window(kernel: usize, stride: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], padding: [[0; 2]; 2] }
}

/// A bit more in what is compared costs what the same program with that bit does.
#[test]
fn a_bit_has_its_price() {
    let costs = cryptflow_mirror::MirrorCosts::default();
    let with = |bits: u32| {
        let relu = Activation { function: Rectifier::Relu, compare_bits: bits, skipped: 0, widen: true };
        let steps = [
            (linear(matmul(), None), &[0usize][..], &[1usize, 2][..]),
            (Operation::Activation(relu), &[1], &[1, 2]),
        ];
        program(&[1, 3], &[&[3, 2]], &steps)
    };
    let total = |bits: u32| estimate(&with(bits), &costs).unwrap().total.total();
    for bits in [22, 27, 31] {
        let price = price_of_a_bit(&with(bits), &costs).unwrap();
        // Trees of some depths are wider than they need to be: there a bit is free.
        assert_eq!(price, [0, total(bits + 1).saturating_sub(total(bits))], "{bits} bits");
    }
    assert!(price_of_a_bit(&with(22), &costs).unwrap()[1] > 0);
}

#[test]
fn programs_compute_what_their_steps_say() {
    let image = [1, 4, 4, 1];
    let pixels: Vec<i64> = (0..16).collect();
    let w: &[i64] = &[1, 2, 3, -4, 5, 6];
    struct Problem<'a> {
        program: Checked,
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
                        Operation::MaxPool(MaxPool {
                            input: image,
                            window: window(2, 2),
                            compare_bits: 32,
                            skipped: 0,
                        }),
                        &[0],
                        &[1, 2, 2, 1],
                    ),
                    (
                        Operation::Activation(Activation {
                            function: Rectifier::ClippedRelu { limit: 10 << SCALE },
                            compare_bits: 32,
                            skipped: 0,
                            widen: true,
                        }),
                        &[1],
                        &[1, 2, 2, 1],
                    ),
                    (
                        Operation::SumPool(SumPool { input: [1, 2, 2, 1], window: window(2, 1) }),
                        &[2],
                        &[1, 1, 1, 1],
                    ),
                    (
                        Operation::ScalePublic(ScalePublic { factors: vec![1 << (SCALE - 1)], shift: SCALE }),
                        &[3],
                        &[1, 1, 1, 1],
                    ),
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
    let execute_with = |program: Checked, weights: &[ClearValue], x: i64| {
        let mut clear = Clear::checked(Party::P0, RING);
        let input = ClearValue::from_signed(&[x << SCALE; 3], RING);
        execute(&mut clear, &program, weights, vec![input], &mut Silent).unwrap_err().to_string()
    };
    let weights = [ClearValue::from_signed(&[1 << SCALE; 6], RING)];
    assert_eq!(execute_with(good(), &[], 1), "the program needs 1 weights, and 0 were given");
    // The sum of three is beyond the bounds that the program declares, and beyond what a ReLU of 32
    // bits can compare.
    let error = execute_with(good(), &weights, 1 << 30);
    assert!(error.starts_with("step 3 of 3, relu \"node2\": relu cannot be computed"), "{error}");
    let error = execute_with(good(), &[ClearValue::from_signed(&[1], RING)], 1);
    assert!(error.starts_with("step 1 of 3, matmul \"node0\": "), "{error}");
    assert_eq!(run(&good(), &[&[1; 6]], &[1; 3], &mut Silent).unwrap(), [3, 3]);
}

#[test]
fn observers_see_every_step_in_order() {
    #[derive(Default)]
    struct Log(Vec<String>);
    impl Observer<ClearValue> for Log {
        fn started(&mut self, index: usize, step: &Step) {
            self.0.push(format!("{index} {}", step.name));
        }
        fn computed(&mut self, step: &Step, value: &ClearValue) {
            self.0.push(format!("{} is {:?}", step.name, value.signed()));
        }
        fn finished(&mut self, index: usize, _: &Step, record: &StepRecord) {
            assert!(record.seconds >= 0.0 && record.rounds == 0 && record.sent == [0; 3]);
            self.0.push(format!("{index} done"));
        }
    }
    let program = program(&[1, 2], &[], &[(relu(), &[0], &[1, 2]), (Operation::Add, &[1, 1], &[1, 2])]);
    let mut log = Log::default();
    assert_eq!(run(&program, &[], &[3, -3], &mut log).unwrap(), [6, 0]);
    let (relu, sum) = (format!("node0 is {:?}", [3 << SCALE, 0]), format!("node1 is {:?}", [6 << SCALE, 0]));
    assert_eq!(log.0, ["0 node0", &relu, "0 done", "1 node1", &sum, "1 done"]);
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

/// A protocol in which every operation sends its result from P0 to P1 in one round, in as many
/// bytes as its ring has bits.
struct Toy;

fn toy(layout: Layout) -> (Cost, Layout) {
    let bytes = layout.len as u64 * u64::from(layout.bits);
    (Cost { rounds: 1, bytes: [[0, bytes], [0, 0]].into() }, layout)
}

impl CostModel for Toy {
    fn input(&self, len: usize, ring_bits: u32) -> Layout {
        Layout { len, bits: ring_bits }
    }

    fn weight(&self, len: usize, ring_bits: u32, _bits: u32) -> Vec<u64> {
        vec![len as u64 * u64::from(ring_bits); 2]
    }

    fn input_check(&self, inputs: &[(usize, Bounds)], ring_bits: u32) -> Cost {
        toy(Layout { len: inputs.iter().map(|(len, _)| len).sum(), bits: ring_bits }).0
    }

    fn cost(&self, operation: &Operation, place: &Place<'_>) -> Result<(Cost, Layout), Error> {
        let rings: Vec<u32> = place.inputs.iter().map(|x| x.bits).collect();
        let bits = operation.rules().ring(&rings, place.ring_bits).unwrap();
        let layout = Layout { len: place.len, bits };
        Ok(match operation {
            Operation::Add | Operation::Movement(_) => (Cost::FREE, layout),
            _ => toy(layout),
        })
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
    assert_eq!(bytes, [2 * 55, 2 * 64, 0, 0, 2 * 64]);
    assert_eq!((estimate.total.total(), estimate.total.rounds), (366, 3));
    // Its one input has three elements.
    assert_eq!(input_check(&program, &Toy).unwrap().total(), 3 * 64);
}
