//! A small network, for tests of what a party can see.

use cryptflow_conformance::secrecy::Scenario;
use cryptflow_engine::{Silent, execute};
use cryptflow_mpc::{Error, Protocol};
use cryptflow_program::{
    Activation, Checked, Input, Linear, LinearTerm, MaxPool, Operation, Output, Program, Rectifier,
    ScalePublic, Step, SumPool, Value, ValueId, Weight, WeightId, validate,
};
use cryptflow_ring::{Conv2d, LinearMap, Movement, Window};

const RING: u32 = 40;
const SCALE: u32 = 8;

/// Convolution, ReLU, max pooling, a residual block, average pooling, a last product.
pub(crate) struct Net(Checked);

fn window(kernel: usize, stride: usize, padding: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], padding: [[padding; 2]; 2] }
}

fn linear(input: usize, weight: usize, map: LinearMap, bias: Option<usize>) -> (Operation, Vec<usize>) {
    let terms = vec![LinearTerm { input: 0, weight: WeightId(weight), map }];
    (Operation::Linear(Linear { terms, bias: bias.map(WeightId), shift: SCALE }), vec![input])
}

fn conv(input: [usize; 2], channels: [usize; 2], window: Window) -> LinearMap {
    let [in_channels, out_channels] = channels;
    LinearMap::Conv2d(Conv2d { batch: 1, input, in_channels, out_channels, groups: 1, window })
}

fn relu(input: usize, widen: bool) -> (Operation, Vec<usize>) {
    (Operation::Activation(Activation { function: Rectifier::Relu, compare_bits: 24, widen }), vec![input])
}

impl Net {
    pub(crate) fn new() -> Net {
        let pooled = [1, 3, 3, 3];
        let pool =
            Operation::MaxPool(MaxPool { input: [1, 6, 6, 3], window: window(2, 2, 0), compare_bits: 24 });
        let sum = Operation::SumPool(SumPool { input: pooled, window: window(3, 1, 0) });
        let steps: Vec<((Operation, Vec<usize>), Vec<usize>)> = vec![
            (linear(0, 0, conv([6, 6], [2, 3], window(3, 1, 1)), Some(1)), vec![1, 6, 6, 3]),
            (relu(1, true), vec![1, 6, 6, 3]),
            ((pool, vec![2]), pooled.to_vec()),
            (linear(3, 2, conv([3, 3], [3, 3], window(1, 1, 0)), None), pooled.to_vec()),
            (relu(4, false), pooled.to_vec()),
            ((Operation::Add, vec![5, 4]), pooled.to_vec()),
            ((Operation::Widen, vec![6]), pooled.to_vec()),
            ((sum, vec![7]), vec![1, 1, 1, 3]),
            (
                (Operation::ScalePublic(ScalePublic { factors: vec![28], shift: SCALE }), vec![8]),
                vec![1, 1, 1, 3],
            ),
            ((Operation::Widen, vec![9]), vec![1, 1, 1, 3]),
            ((Operation::Movement(Movement::Reshape { shape: vec![1, 3] }), vec![10]), vec![1, 3]),
            (linear(11, 3, LinearMap::MatMul { rows: 1, inner: 3, columns: 4 }, None), vec![1, 4]),
        ];
        let value = |name: String, shape: Vec<usize>| Value {
            name,
            shape,
            scale: SCALE,
            low: -1 << 20,
            high: 1 << 20,
            wide: true,
        };
        let mut values = vec![value("x".into(), vec![1, 6, 6, 2])];
        let mut built = Vec::new();
        for (i, ((operation, inputs), shape)) in steps.into_iter().enumerate() {
            let name = format!("node{i}");
            let wide = is_wide(&operation, inputs.iter().all(|&i: &usize| values[i].wide));
            values.push(Value { wide, ..value(name.clone(), shape) });
            let inputs = inputs.into_iter().map(ValueId).collect();
            built.push(Step { name, operation, inputs, output: ValueId(i + 1), last_uses: vec![] });
        }
        let shapes = [vec![3, 3, 2, 3], vec![3], vec![1, 1, 3, 3], vec![3, 4]];
        let weight = |(i, shape): (usize, Vec<usize>)| {
            // A bias is at the scale of products.
            let scale = if shape.len() == 1 { 2 * SCALE } else { SCALE };
            Weight { name: format!("w{i}"), shape, scale }
        };
        let program = Program {
            version: 1,
            name: "a small network".into(),
            ring_bits: RING,
            scale: SCALE,
            inputs: vec![Input {
                name: "x".into(),
                value: ValueId(0),
                low: -4.0,
                high: 4.0,
                preprocessing: Default::default(),
            }],
            outputs: vec![Output { name: "y".into(), value: ValueId(built.len()), transform: None }],
            values,
            weights: shapes.into_iter().enumerate().map(weight).collect(),
            steps: built,
        };
        Net(validate(program).unwrap())
    }
}

/// Whether the result of an operation is wide.
fn is_wide(operation: &Operation, operands_are: bool) -> bool {
    match operation {
        Operation::Linear(_) | Operation::ScalePublic(_) => false,
        Operation::Activation(activation) => activation.widen || operands_are,
        Operation::Widen => true,
        _ => operands_are,
    }
}

/// Numbers from −512 to 511, as a secret tells them; all zero for secret 0.
fn numbers(secret: u64, tensor: usize, len: usize) -> Vec<u64> {
    let mut state = secret.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_mul(1 + tensor as u64);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(if secret == 0 { 0 } else { 1 });
        ((state as i64 >> 54) as u64) & (u64::MAX >> (64 - RING))
    };
    (0..len).map(|_| next()).collect()
}

impl Scenario for Net {
    fn ring_bits(&self) -> u32 {
        RING
    }

    fn lengths(&self) -> (Vec<usize>, Vec<usize>) {
        let input = self.0.values[0].shape.iter().product();
        (vec![input], self.0.weights.iter().map(|w| w.shape.iter().product()).collect())
    }

    fn inputs(&self, secret: u64) -> Vec<Vec<u64>> {
        self.lengths().0.into_iter().map(|len| numbers(secret, 0, len)).collect()
    }

    fn weights(&self, secret: u64) -> Vec<Vec<u64>> {
        self.lengths().1.into_iter().enumerate().map(|(i, len)| numbers(secret, i + 1, len)).collect()
    }

    fn play<P: Protocol>(
        &self,
        party: &mut P,
        inputs: Vec<P::Value>,
        weights: Vec<P::Weight>,
    ) -> Result<Vec<P::Value>, Error> {
        execute(party, &self.0, &weights, inputs, &mut Silent)
            .map_err(|e| Error::Range { operation: "the program", reason: e.to_string() })
    }
}
