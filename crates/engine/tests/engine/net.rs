//! A small network, for tests of what a party can see.

use cryptflow_conformance::secrecy::Scenario;
use cryptflow_engine::{Silent, execute};
use cryptflow_mpc::{Error, Protocol};
use cryptflow_program::{
    Activation, Checked, Linear, LinearTerm, MaxPool, Operation, Rectifier, ScalePublic, SumPool, WeightId,
};
use cryptflow_ring::{Conv2d, LinearMap, Movement, Window};

use super::build::{SCALE, program};

const RING: u32 = 40;

/// Convolution, ReLU, max pooling, a block of two branches (which run beside each other), average pooling, a last product.
pub(crate) struct Net(Checked);

fn window(kernel: usize, stride: usize, padding: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], padding: [[padding; 2]; 2] }
}

fn linear(weight: usize, map: LinearMap, bias: Option<usize>) -> Operation {
    let terms = vec![LinearTerm { input: 0, weight: WeightId(weight), map }];
    Operation::Linear(Linear { terms, bias: bias.map(WeightId), shift: SCALE })
}

fn conv(input: [usize; 2], channels: [usize; 2], window: Window) -> LinearMap {
    let [in_channels, out_channels] = channels;
    LinearMap::Conv2d(Conv2d { batch: 1, input, in_channels, out_channels, groups: 1, window })
}

fn relu(widen: bool) -> Operation {
    Operation::Activation(Activation { function: Rectifier::Relu, compare_bits: 24, skipped: 0, widen })
}

impl Net {
    pub(crate) fn new() -> Net {
        let (first, pooled, mean) = ([1, 6, 6, 3], [1, 3, 3, 3], [1, 1, 1, 3]);
        let pool = MaxPool { input: first, window: window(2, 2, 0), compare_bits: 24, skipped: 0 };
        let sum = SumPool { input: pooled, window: window(3, 1, 0) };
        let ninth = ScalePublic { factors: vec![28], shift: SCALE };
        let flat = Movement::Reshape { shape: vec![1, 3] };
        let last = LinearMap::MatMul { rows: 1, inner: 3, columns: 4 };
        Net(program(
            RING,
            &[1, 6, 6, 2],
            &[&[3, 3, 2, 3], &[3], &[1, 1, 3, 3], &[3, 4]],
            &[
                (linear(0, conv([6, 6], [2, 3], window(3, 1, 1)), Some(1)), &[0], &first),
                (relu(true), &[1], &first),
                (Operation::MaxPool(pool), &[2], &pooled),
                (linear(2, conv([3, 3], [3, 3], window(1, 1, 0)), None), &[3], &pooled),
                (relu(false), &[4], &pooled),
                (linear(2, conv([3, 3], [3, 3], window(1, 1, 0)), None), &[3], &pooled),
                (Operation::Add, &[5, 6], &pooled),
                (Operation::Widen, &[7], &pooled),
                (Operation::SumPool(sum), &[8], &mean),
                (Operation::ScalePublic(ninth), &[9], &mean),
                (Operation::Widen, &[10], &mean),
                (Operation::Movement(flat), &[11], &[1, 3]),
                (linear(3, last, None), &[12], &[1, 4]),
            ],
        ))
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
