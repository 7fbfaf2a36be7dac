//! Programs that the suite runs.

use cryptflow_ring::{Conv2d, LinearMap, Window};

use crate::{Error, Protocol, Term};

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

/// All operations, with values and weights that are used twice, on tensors of several blocks of which the last one is not full and
/// its last group of 64 neither. Inputs and weights are constants, so that nothing but pads can make a message uniform.
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
        let ([x], [w, bias]) = (&inputs[..], &weights[..]) else { return Ok(Vec::new()) };
        let map = Zoo::map();
        let term = |x| Term { map: &map, x, w };
        let z = party.linear(&[term(x)], Some(bias), 12)?;
        let again = party.linear(&[term(x), term(x)], None, 12)?;
        let constant = party.linear(&[], Some(bias), 12)?;
        let sum = party.add(&z, &again)?;
        let y = party.relu(&sum, 24, true)?;
        let wide = party.widen(&z)?;
        let clipped = party.clipped_relu(&again, 6 << 12, 24, true)?;
        let window = Window { kernel: [3, 1], stride: [2, 2], dilation: [1, 1], padding: [[0, 1], [0, 0]] };
        let pooled = party.max_pool(&z, SHAPE, &window, 24)?;
        let scaled = party.scale_public(&y, &[1365], 12)?;
        let elements = LinearMap::Scale { rows: 1, channels: Zoo::map().output_len() };
        let square = party.product(&elements, &wide, &wide, 12)?;
        let bits = party.compare(&z, &[-1000, 0, 1 << 20], 24)?;
        let chosen = party.combine(&bits, &[3, -1, 2], &[7])?;
        let product = party.product(&elements, &chosen, &y, 1)?;
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
        inputs.iter().map(|x| party.relu(x, 24, true)).collect()
    }
}
