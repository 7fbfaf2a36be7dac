//! Several runs of a program at once give what each gives: programs of all operations, made at random.

use cryptflow_engine::{Silent, execute};
use cryptflow_mpc::{Clear, ClearValue, Party};
use cryptflow_program::{
    Activation, Checked, Combine, Compare, Input, Linear, LinearTerm, MaxPool, NotRepeatable, Operation,
    Output, Product, Program, Rectifier, ScalePublic, Step, SumPool, Value, ValueId, Weight, WeightId,
    liveness, repeat, validate,
};
use cryptflow_ring::{Conv2d, LinearMap, Movement, Window};

const RING: u32 = 64;
/// Programs, and the steps of one before what it opens.
const PROGRAMS: u64 = 600;
const STEPS: usize = 9;
/// Most elements of a value.
const MOST: usize = 400;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as usize) as i64
    }

    fn integers(&mut self, n: usize, far: i64) -> Vec<i64> {
        (0..n).map(|_| self.between(-far, far)).collect()
    }

    /// A shape of so many elements.
    fn shape(&mut self, elements: usize) -> Vec<usize> {
        let (mut left, mut shape) = (elements, Vec::new());
        for _ in 0..self.below(4) {
            let divisors: Vec<usize> = (1..=left).filter(|d| left.is_multiple_of(*d)).collect();
            let d = divisors[self.below(divisors.len())];
            shape.push(d);
            left /= d;
        }
        if left != 1 || self.below(2) == 0 {
            shape.insert(self.below(shape.len() + 1), left);
        }
        shape
    }
}

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

struct Making {
    random: Random,
    program: Program,
    weights: Vec<Vec<i64>>,
}

impl Making {
    fn new(seed: u64) -> Making {
        let program = Program {
            version: 1,
            name: format!("{seed}"),
            ring_bits: RING,
            scale: 4,
            batch: Default::default(),
            bits_per_round: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            guard: None,
            values: Vec::new(),
            weights: Vec::new(),
            steps: Vec::new(),
        };
        Making { random: Random(seed), program, weights: Vec::new() }
    }

    fn value(&mut self, shape: &[usize], scale: u32, wide: bool) -> ValueId {
        let name = format!("v{}", self.program.values.len());
        let (low, high) = (-1 << 40, 1 << 40);
        self.program.values.push(Value { name, shape: shape.to_vec(), scale, low, high, wide, ring: None });
        ValueId(self.program.values.len() - 1)
    }

    fn weight(&mut self, shape: &[usize], scale: u32) -> WeightId {
        self.program.weights.push(Weight { name: "w".into(), shape: shape.to_vec(), scale });
        let data = self.random.integers(count(shape), 5);
        self.weights.push(data);
        WeightId(self.weights.len() - 1)
    }

    fn step(&mut self, operation: Operation, inputs: &[ValueId], shape: &[usize], scale: u32) -> ValueId {
        let all_wide = inputs.iter().all(|id| self.program.values[id.0].wide);
        let wide = match &operation {
            Operation::Linear(_) | Operation::Product(_) | Operation::ScalePublic(_) => false,
            Operation::Compare(_) | Operation::Widen => true,
            Operation::Activation(activation) => activation.widen || all_wide,
            _ => all_wide,
        };
        let output = self.value(shape, scale, wide);
        self.program.values[output.0].ring = self.ring(&operation, inputs).filter(|_| wide);
        let name = format!("{} {}", operation.name(), output.0);
        self.program.steps.push(Step {
            name,
            operation,
            inputs: inputs.to_vec(),
            output,
            last_uses: Vec::new(),
        });
        if wide { output } else { self.step(Operation::Widen, &[output], shape, scale) }
    }

    /// The ring of a wide result, if it is another one than that of inputs: what is widened goes to one of several.
    fn ring(&self, operation: &Operation, inputs: &[ValueId]) -> Option<u32> {
        let ring = match operation {
            Operation::Widen | Operation::Compare(_) => RING - (self.program.values.len() % 3) as u32,
            _ => inputs.iter().filter_map(|id| self.program.values[id.0].ring).min()?,
        };
        (ring < RING).then_some(ring)
    }

    fn moved(&mut self, movement: Movement, inputs: &[ValueId]) -> ValueId {
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|id| self.shape(*id)).collect();
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let shape = movement.output_shape(&shapes).unwrap();
        let scale = self.program.values[inputs[0].0].scale;
        self.step(Operation::Movement(movement), inputs, &shape, scale)
    }

    fn shape(&self, id: ValueId) -> Vec<usize> {
        self.program.values[id.0].shape.clone()
    }

    /// Another step on one of the values that there are.
    fn more(&mut self) {
        let x = ValueId(self.random.below(self.program.values.len()));
        if !self.program.values[x.0].wide {
            return;
        }
        let (shape, scale) = (self.shape(x), self.program.values[x.0].scale);
        let (rank, n) = (shape.len(), count(&shape));
        let axis = self.random.below(rank);
        match self.random.below(20) {
            0 | 1 => {
                let shape = self.random.shape(n);
                self.moved(Movement::Reshape { shape }, &[x]);
            }
            2 | 3 => {
                let mut permutation: Vec<usize> = (0..rank).collect();
                (1..rank).for_each(|i| permutation.swap(i, self.random.below(i + 1)));
                self.moved(Movement::Transpose { permutation }, &[x]);
            }
            4 if rank > 0 && n < MOST / 3 => {
                let [mut before, mut after] = [vec![0; rank], vec![0; rank]];
                (before[axis], after[axis]) = (self.random.below(2), self.random.below(3));
                self.moved(Movement::Pad { before, after }, &[x]);
            }
            5 if rank > 0 => {
                let (mut begin, mut size, mut stride) = (vec![0; rank], shape.clone(), vec![1; rank]);
                begin[axis] = self.random.below(shape[axis]);
                size[axis] = 1 + self.random.below(shape[axis] - begin[axis]);
                if self.random.below(3) == 0 {
                    (begin[axis], stride[axis]) = (begin[axis] + size[axis] - 1, -1);
                }
                self.moved(Movement::Slice { begin, size, stride }, &[x]);
            }
            6 if rank > 0 => {
                let alike = |y: &usize| {
                    let other = &self.program.values[*y];
                    let fits = |i: usize| i == axis || other.shape[i] == shape[i];
                    other.wide && other.scale == scale && other.shape.len() == rank && (0..rank).all(fits)
                };
                let alike: Vec<usize> = (0..self.program.values.len()).filter(alike).collect();
                let y = ValueId(alike[self.random.below(alike.len())]);
                let mut inputs = vec![x, y];
                inputs.rotate_left(self.random.below(2));
                if count(&self.shape(y)) + n < MOST {
                    self.moved(Movement::Concat { axis }, &inputs);
                }
            }
            7 if n < MOST / 4 => {
                let mut shape: Vec<usize> =
                    shape.iter().map(|&d| if d == 1 { 1 + self.random.below(2) } else { d }).collect();
                if self.random.below(2) == 0 {
                    shape.insert(0, 1 + self.random.below(3));
                }
                self.moved(Movement::Broadcast { shape }, &[x]);
            }
            8 if rank > 0 => {
                let indices = (0..1 + self.random.below(4)).map(|_| self.random.below(shape[axis])).collect();
                self.moved(Movement::Gather { axis, indices }, &[x]);
            }
            9 if n < MOST / 3 => {
                let many = 1 + self.random.below(3);
                let thresholds = self.random.integers(many, 9);
                let shape = [&[thresholds.len()], shape.as_slice()].concat();
                let compare = Compare { thresholds, compare_bits: 50, skipped: 0 };
                self.step(Operation::Compare(compare), &[x], &shape, 0);
            }
            10 | 11 => {
                let columns = if self.random.below(2) == 0 { 1 } else { shape.first().copied().unwrap_or(1) };
                let missing = columns == 1 && self.random.below(2) == 0 || rank == 0 || shape[0] != columns;
                let rest = if missing { shape.clone() } else { shape[1..].to_vec() };
                let rows = 1 + self.random.below(2);
                let named = rows > 1 || self.random.below(2) == 0;
                let result = if named { [&[rows], rest.as_slice()].concat() } else { rest };
                if count(&result) < MOST {
                    let factors = self.random.integers(rows * columns, 2);
                    let combine = Combine { factors, offsets: self.random.integers(rows, 5) };
                    self.step(Operation::Combine(combine), &[x], &result, scale);
                }
            }
            12 => {
                let last = count(&shape[self.random.below(rank + 1)..]);
                let factors = self.random.integers(last, 9).into_iter().map(|f| f as u64).collect();
                self.step(Operation::ScalePublic(ScalePublic { factors, shift: 2 }), &[x], &shape, scale);
            }
            13 => {
                let function = match self.random.below(2) {
                    0 => Rectifier::Relu,
                    _ => Rectifier::ClippedRelu { limit: 5 },
                };
                let widen = self.random.below(2) == 0;
                let activation = Activation { function, compare_bits: 50, skipped: 0, widen };
                self.step(Operation::Activation(activation), &[x], &shape, scale);
            }
            14 => {
                let alike = |y: &usize| {
                    let other = &self.program.values[*y];
                    other.wide && other.scale == scale && other.shape == shape
                };
                let alike: Vec<usize> = (0..self.program.values.len()).filter(alike).collect();
                let y = ValueId(alike[self.random.below(alike.len())]);
                let operation = if self.random.below(2) == 0 { Operation::Add } else { Operation::Sub };
                self.step(operation, &[x, y], &shape, scale);
            }
            15 if rank == 4 => {
                let kernel = [1 + self.random.below(shape[1].min(2)), 1 + self.random.below(shape[2].min(2))];
                let window = Window { kernel, stride: [1, 2], dilation: [1, 1], padding: [[0; 2]; 2] };
                let input = [shape[0], shape[1], shape[2], shape[3]];
                let [h, w] = window.output([input[1], input[2]]).unwrap();
                match self.random.below(3) {
                    0 => {
                        let pool = MaxPool { input, window, compare_bits: 50, skipped: 0 };
                        self.step(Operation::MaxPool(pool), &[x], &[input[0], h, w, input[3]], scale);
                    }
                    1 => {
                        let pool = SumPool { input, window };
                        self.step(Operation::SumPool(pool), &[x], &[input[0], h, w, input[3]], scale);
                    }
                    _ => {
                        let weight = self.weight(&[kernel[0], kernel[1], input[3], 2], 1);
                        let conv = Conv2d {
                            batch: input[0],
                            input: [input[1], input[2]],
                            in_channels: input[3],
                            out_channels: 2,
                            groups: 1,
                            window,
                        };
                        let terms = vec![LinearTerm { input: 0, weight, map: LinearMap::Conv2d(conv) }];
                        let linear = Linear { terms, bias: None, shift: 1 };
                        self.step(Operation::Linear(linear), &[x], &[input[0], h, w, 2], scale);
                    }
                }
            }
            16 | 17 if rank > 0 => {
                let (channels, rows) = (shape[rank - 1], count(&shape[..rank - 1]));
                let columns = if self.random.below(2) == 0 { channels } else { 3 };
                let (weight, map) = if columns == channels {
                    (self.weight(&[channels], 1), LinearMap::Scale { rows, channels })
                } else {
                    let map = LinearMap::MatMul { rows, inner: channels, columns };
                    (self.weight(&[channels, columns], 1), map)
                };
                let bias = (self.random.below(2) == 0).then(|| self.weight(&[columns], scale + 1));
                let linear = Linear { terms: vec![LinearTerm { input: 0, weight, map }], bias, shift: 1 };
                let result = [&shape[..rank - 1], &[columns]].concat();
                self.step(Operation::Linear(linear), &[x], &result, scale);
            }
            18 => {
                // A constant, in the shape of what is there.
                let weight = self.weight(&[n], scale + 1);
                let linear = Linear { terms: Vec::new(), bias: Some(weight), shift: 1 };
                let constant = self.step(Operation::Linear(linear), &[], &[n], scale);
                let constant = self.moved(Movement::Reshape { shape: shape.clone() }, &[constant]);
                self.step(Operation::Sub, &[constant, x], &shape, scale);
            }
            19 if scale > 0 && scale < 12 => self.product(x),
            _ => {}
        }
    }

    /// A product of a value and what has as many elements as its side of some map.
    fn product(&mut self, x: ValueId) {
        let n = count(&self.shape(x));
        let divisors: Vec<usize> = (1..=n).filter(|d| n.is_multiple_of(*d)).collect();
        let rows = divisors[self.random.below(divisors.len())];
        let maps = [
            LinearMap::Scale { rows, channels: n / rows },
            LinearMap::MatMul { rows, inner: n / rows, columns: 2 },
            LinearMap::BatchMatMul { batch: rows, rows: 1, inner: n / rows, columns: 1 },
        ];
        let map = maps[self.random.below(3)].clone();
        let wanted = map.weight_len();
        let fits = |y: &usize| {
            let other = &self.program.values[*y];
            other.wide && count(&other.shape) == wanted
        };
        let fitting: Vec<usize> = (0..self.program.values.len()).filter(fits).collect();
        let Some(&y) = fitting.get(self.random.below(fitting.len())) else { return };
        let scale = self.program.values[x.0].scale + self.program.values[y].scale - 1;
        let len = map.output_len();
        if len < MOST {
            let shape = self.random.shape(len);
            self.step(Operation::Product(Product { map, shift: 1 }), &[x, ValueId(y)], &shape, scale);
        }
    }

    fn made(mut self) -> (Checked, Vec<Vec<i64>>) {
        for index in 0..1 + self.random.below(2) {
            let elements = 1 + self.random.below(12);
            let shape = self.random.shape(elements * 2);
            let value = self.value(&shape, 4, true);
            self.program.inputs.push(Input {
                name: format!("x{index}"),
                value,
                low: -10.0,
                high: 10.0,
                preprocessing: Default::default(),
                factors: Vec::new(),
                classes: None,
            });
        }
        for _ in 0..STEPS {
            self.more();
        }
        // All that is computed last, and a constant.
        let opened = self.program.values.len().saturating_sub(3)..self.program.values.len();
        for value in opened.map(ValueId) {
            let (name, transform) = (format!("y{}", value.0), None);
            self.program.outputs.push(Output {
                name,
                value,
                transform,
                digits: None,
                equal: 0,
                classes: None,
            });
        }
        if self.random.below(2) == 0 {
            let x = ValueId(0);
            let n = count(&self.shape(x));
            let flat = self.moved(Movement::Reshape { shape: vec![n] }, &[x]);
            let first = Movement::Slice { begin: vec![0], size: vec![1], stride: vec![1] };
            let first = self.moved(first, &[flat]);
            let compare = Compare { thresholds: vec![0], compare_bits: 50, skipped: 0 };
            let flag = self.step(Operation::Compare(compare), &[first], &[1, 1], 0);
            self.program.guard = Some(flag);
        }
        liveness::fill_last_uses(&mut self.program);
        self.program.version = self.program.due_version();
        (validate(self.program).unwrap(), self.weights)
    }
}

fn run(program: &Checked, weights: &[Vec<i64>], inputs: &[Vec<i64>]) -> Vec<Vec<i64>> {
    let mut clear = Clear::checked(Party::P0, RING);
    let values =
        |data: &[Vec<i64>]| data.iter().map(|x| ClearValue::from_signed(x, RING)).collect::<Vec<_>>();
    let opened = execute(&mut clear, program, &values(weights), values(inputs), &mut Silent).unwrap();
    opened.iter().map(ClearValue::signed).collect()
}

#[test]
fn runs_at_once_give_what_each_gives() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..PROGRAMS {
        let (program, weights) = Making::new(seed).made();
        kinds.extend(program.steps.iter().map(|step| step.operation.name()));
        let mut random = Random(!seed);
        for runs in [1, 2, 3] {
            let all = repeat(&program, runs).unwrap_or_else(|e| panic!("{seed}: {e}"));
            let inputs: Vec<Vec<Vec<i64>>> = (0..runs)
                .map(|_| {
                    let lengths = program.inputs.iter().map(|input| program.elements(input.value));
                    lengths.map(|n| random.integers(n, 60)).collect()
                })
                .collect();
            let together: Vec<Vec<i64>> = (0..program.inputs.len())
                .map(|input| inputs.iter().flat_map(|run| run[input].iter().copied()).collect())
                .collect();
            let each: Vec<_> = inputs.iter().map(|inputs| run(&program, &weights, inputs)).collect();
            let found = run(all.program(), &weights, &together);
            for (output, found) in found.iter().enumerate() {
                let expected: Vec<i64> = each.iter().flat_map(|run| run[output].iter().copied()).collect();
                assert_eq!(*found, expected, "program {seed}, output {output}, {runs} runs: {program:#?}");
            }
            // Steps belong to those of one run, in order.
            let origins: Vec<usize> = (0..all.program().steps.len()).map(|step| all.origin(step)).collect();
            assert!(origins.is_sorted() && origins.iter().all(|&origin| origin < program.steps.len()));
            assert_eq!(all.runs(), runs);
        }
    }
    for kind in [
        "matmul",
        "scale",
        "constant",
        "conv",
        "product",
        "matrix product of secrets",
        "compare",
        "combine",
        "scale public",
        "widen",
        "relu",
        "clipped relu",
        "max pool",
        "sum pool",
        "add",
        "sub",
        "reshape",
        "transpose",
        "pad",
        "slice",
        "concat",
        "broadcast",
        "gather",
    ] {
        assert!(kinds.contains(kind), "no program has {kind}: {kinds:?}");
    }
}

#[test]
fn what_is_not_repeated() {
    let (program, _) = Making::new(1).made();
    assert_eq!(repeat(&program, 0), Err(NotRepeatable::None));
    let error = repeat(&program, usize::MAX).unwrap_err().to_string();
    assert!(error.contains("runs at once are no program"), "{error}");
}
