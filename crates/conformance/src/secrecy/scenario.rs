//! Programs that the suite runs.

use cryptflow_ring::{Conv2d, LinearMap, Window};

use cryptflow_mpc::{Error, Operand, Operands, Protocol};
use cryptflow_operation::{
    Activation, Bounds, Combine, Compare, Linear, LinearTerm, MaxPool, Operation, Product, Rectifier,
    ScalePublic, WeightId,
};

/// A program for three parties, with secrets of its own.
pub trait Scenario: Sync {
    /// It computes over Z_2^ring_bits.
    fn ring_bits(&self) -> u32;
    /// Elements of each input and of each weight.
    fn lengths(&self) -> (Vec<usize>, Vec<usize>);
    /// The inputs, as a number tells them.
    fn inputs(&self, secret: u64) -> Vec<Vec<u64>>;
    /// The weights, as a number tells them.
    fn weights(&self, secret: u64) -> Vec<Vec<u64>>;
    /// A party's side. The results are revealed.
    ///
    /// # Errors
    /// The first step's that fails.
    fn play<P: Protocol>(
        &self,
        party: &mut P,
        inputs: Vec<P::Value>,
        weights: Vec<P::Weight>,
    ) -> Result<Vec<P::Value>, Error>;
}

/// All operations, with values and weights that are used twice, on tensors of several blocks of
/// which the last one is not full and its last group of 64 neither. Inputs and weights are
/// constants, so that nothing but pads can make a message uniform.
#[derive(Clone, Copy, Debug)]
pub struct Zoo;

/// NHWC: 33,759 elements.
const SHAPE: [usize; 4] = [1, 33, 31, 33];

impl Zoo {
    fn map() -> LinearMap {
        let [batch, height, width, channels] = SHAPE;
        LinearMap::Conv2d(Conv2d {
            batch,
            input: [height, width],
            in_channels: channels,
            out_channels: channels,
            groups: 1,
            window: Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [[1, 1]; 2] },
        })
    }
}

impl Scenario for Zoo {
    fn ring_bits(&self) -> u32 {
        64
    }

    fn lengths(&self) -> (Vec<usize>, Vec<usize>) {
        let map = Zoo::map();
        (vec![map.input_len()], vec![map.weight_len(), SHAPE[3]])
    }

    fn inputs(&self, secret: u64) -> Vec<Vec<u64>> {
        vec![vec![secret; Zoo::map().input_len()]]
    }

    fn weights(&self, secret: u64) -> Vec<Vec<u64>> {
        vec![vec![secret.wrapping_mul(3); Zoo::map().weight_len()], vec![secret; SHAPE[3]]]
    }

    fn play<P: Protocol>(
        &self,
        party: &mut P,
        inputs: Vec<P::Value>,
        weights: Vec<P::Weight>,
    ) -> Result<Vec<P::Value>, Error> {
        let [x] = &inputs[..] else { return Ok(Vec::new()) };
        party.require_within(&[(x, Bounds { low: -16, high: 1 << 20 })])?;
        let map = Zoo::map();
        let elements = LinearMap::Scale { rows: 1, channels: map.output_len() };
        let (w, bias) = (WeightId(0), Some(WeightId(1)));
        let linear = |inputs: std::ops::Range<usize>, bias| {
            let term = |input| LinearTerm { input, weight: w, map: map.clone() };
            Operation::Linear(Linear { terms: inputs.map(term).collect(), bias, shift: 12 })
        };
        let product = |shift| Operation::Product(Product { map: elements.clone(), shift });
        let activation = |function| {
            Operation::Activation(Activation { function, compare_bits: 24, skipped: 0, widen: true })
        };
        let mut step = |operation: Operation, on: &[&P::Value]| {
            let inputs = on.iter().map(|&value| Operand { shape: &[], value }).collect();
            party.apply(&operation, &Operands { inputs, weights: &weights, ring_bits: 64 })
        };
        let z = step(linear(0..1, bias), &[x])?;
        let again = step(linear(0..2, None), &[x, x])?;
        let constant = step(linear(0..0, bias), &[])?;
        let sum = step(Operation::Add, &[&z, &again])?;
        let y = step(activation(Rectifier::Relu), &[&sum])?;
        let wide = step(Operation::Widen, &[&z])?;
        let clipped = step(activation(Rectifier::ClippedRelu { limit: 6 << 12 }), &[&again])?;
        let window = Window { kernel: [3, 1], stride: [2, 2], dilation: [1, 1], padding: [[0, 1], [0, 0]] };
        let pool = MaxPool { input: SHAPE, window, compare_bits: 24, skipped: 0 };
        let pooled = step(Operation::MaxPool(pool), &[&z])?;
        let scale = ScalePublic { factors: vec![1365], shift: 12 };
        let scaled = step(Operation::ScalePublic(scale), &[&y])?;
        let square = step(product(12), &[&wide, &wide])?;
        let compare = Compare { thresholds: vec![-1000, 0, 1 << 20], compare_bits: 24, skipped: 0 };
        let bits = step(Operation::Compare(compare), &[&z])?;
        let combine = Combine { factors: vec![3, -1, 2], offsets: vec![7] };
        let chosen = step(Operation::Combine(combine), &[&bits])?;
        let product = step(product(1), &[&chosen, &y])?;
        Ok(vec![y, wide, clipped, pooled, scaled, square, bits, product, constant])
    }
}

/// One ReLU of so many elements.
#[derive(Clone, Copy, Debug)]
pub struct OneRelu(pub usize);

impl OneRelu {
    /// Several blocks, the last one not full.
    pub const BLOCKS: OneRelu = OneRelu(SHAPE[0] * SHAPE[1] * SHAPE[2] * SHAPE[3]);
}

impl Scenario for OneRelu {
    fn ring_bits(&self) -> u32 {
        64
    }

    fn lengths(&self) -> (Vec<usize>, Vec<usize>) {
        (vec![self.0], vec![])
    }

    fn inputs(&self, secret: u64) -> Vec<Vec<u64>> {
        vec![vec![secret; self.0]]
    }

    fn weights(&self, _secret: u64) -> Vec<Vec<u64>> {
        Vec::new()
    }

    fn play<P: Protocol>(
        &self,
        party: &mut P,
        inputs: Vec<P::Value>,
        _weights: Vec<P::Weight>,
    ) -> Result<Vec<P::Value>, Error> {
        let activation = Activation { function: Rectifier::Relu, compare_bits: 24, skipped: 0, widen: true };
        let relu = Operation::Activation(activation);
        let mut step = |value| {
            let inputs = vec![Operand { shape: &[], value }];
            party.apply(&relu, &Operands { inputs, weights: &[], ring_bits: 64 })
        };
        inputs.iter().map(&mut step).collect()
    }
}
