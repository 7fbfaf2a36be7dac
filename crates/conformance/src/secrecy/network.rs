//! A small network in which every operation is, and that crosses whatever a protocol cuts tensors into:
//! its tensors are of a few blocks and waves, if these are as small as they can be.

use cryptflow_mpc::{Error, Operand, Operands, Protocol};
use cryptflow_operation::{
    Activation, Bounds, Combine, Compare, Linear, LinearTerm, MaxPool, Operation, Product, Rectifier,
    ScalePublic, SumPool, WeightId,
};
use cryptflow_ring::{Conv2d, LinearMap, Movement, Window};

use super::Scenario;

/// The network, over a ring of 2^bits elements, for 8 to 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// The ring.
    pub ring_bits: u32,
}

/// NHWC: 420 elements.
const SHAPE: [usize; 4] = [1, 7, 10, 6];
const LEN: usize = SHAPE[1] * SHAPE[2] * SHAPE[3];
/// Elements of the weights: two filters, a bias, and a constant.
const WEIGHTS: [usize; 4] = [2 * 2 * 6 * 6, 2 * 2 * 6 * 6, 6, LEN];

/// An operation, which of the values so far it takes (0 and 1 are the inputs), and its result's shape.
pub struct Step {
    /// The operation.
    pub operation: Operation,
    /// Its operands.
    pub operands: Vec<usize>,
    /// The shape.
    pub shape: Vec<usize>,
}

fn step(operation: Operation, operands: &[usize], shape: &[usize]) -> Step {
    Step { operation, operands: operands.to_vec(), shape: shape.to_vec() }
}

/// One entry for each operation that there is, in the order in which the network has them: what the
/// operation looks like, and the step. An operation that is not here does not compile.
macro_rules! network {
    ($net:ident: $($pattern:pat => $step:expr),* $(,)?) => {
        /// Which entry an operation has.
        fn entry(operation: &Operation) -> &'static str {
            match operation { $($pattern => stringify!($pattern)),* }
        }

        fn steps($net: &Network) -> Vec<(&'static str, Step)> {
            vec![$((stringify!($pattern), $step)),*]
        }
    };
}

network! { net:
    Operation::Linear(_) => {
        let term = |input| LinearTerm { input, weight: WeightId(input), map: Network::convolution() };
        let terms = vec![term(0), term(1)];
        let linear = Linear { terms, bias: Some(WeightId(2)), shift: net.shift() };
        step(Operation::Linear(linear), &[0, 1], &SHAPE)
    },
    Operation::Product(_) => step(net.product(), &[0, 1], &SHAPE),
    Operation::Compare(_) => {
        let compare = Compare { thresholds: vec![-3, 0, 2], compare_bits: net.compare_bits(), skipped: 0 };
        step(Operation::Compare(compare), &[2], &[3, LEN])
    },
    Operation::Combine(_) => {
        let combine = Combine { factors: vec![3, -1, 2, 1, 0, -5], offsets: vec![7, -7] };
        step(Operation::Combine(combine), &[4], &[2, LEN])
    },
    Operation::ScalePublic(_) => {
        let scale = ScalePublic { factors: vec![3, 1, 2, 7, 5, 6], shift: net.shift() };
        step(Operation::ScalePublic(scale), &[0], &SHAPE)
    },
    Operation::Widen => step(Operation::Widen, &[2], &SHAPE),
    Operation::Activation(Activation { function: Rectifier::Relu, .. }) => {
        step(net.activation(Rectifier::Relu, true), &[2], &SHAPE)
    },
    Operation::Activation(Activation { function: Rectifier::ClippedRelu { .. }, .. }) => {
        step(net.activation(Rectifier::ClippedRelu { limit: 2 }, false), &[3], &SHAPE)
    },
    Operation::MaxPool(_) => {
        let window = Window { kernel: [3, 1], stride: [1, 1], dilation: [1, 1], padding: [[1, 1], [0, 0]] };
        let pool = MaxPool { input: SHAPE, window, compare_bits: net.compare_bits(), skipped: 0 };
        step(Operation::MaxPool(pool), &[1], &SHAPE)
    },
    Operation::SumPool(_) => {
        let window = Window { kernel: [2, 2], stride: [1, 1], dilation: [1, 1], padding: [[0, 0]; 2] };
        step(Operation::SumPool(SumPool { input: SHAPE, window }), &[7], &[1, 6, 9, 6])
    },
    Operation::Add => step(Operation::Add, &[8, 0], &SHAPE),
    Operation::Sub => step(Operation::Sub, &[12, 7], &SHAPE),
    Operation::Movement(_) => {
        let movement = Movement::Transpose { permutation: vec![0, 2, 1, 3] };
        step(Operation::Movement(movement), &[9], &[1, 10, 7, 6])
    },
}

impl Network {
    fn shift(&self) -> u32 {
        (self.ring_bits / 5).min(12)
    }

    /// What is left of the ring after a truncation, at most.
    fn compare_bits(&self) -> u32 {
        (self.ring_bits - self.shift() - 1).min(24)
    }

    fn convolution() -> LinearMap {
        LinearMap::Conv2d(Conv2d {
            batch: SHAPE[0],
            input: [SHAPE[1], SHAPE[2]],
            in_channels: SHAPE[3],
            out_channels: SHAPE[3],
            groups: 1,
            window: Window { kernel: [2, 2], stride: [1, 1], dilation: [1, 1], padding: [[0, 1], [1, 0]] },
        })
    }

    fn product(&self) -> Operation {
        let map = LinearMap::Scale { rows: 1, channels: LEN };
        Operation::Product(Product { map, shift: self.shift() })
    }

    fn activation(&self, function: Rectifier, widen: bool) -> Operation {
        Operation::Activation(Activation { function, compare_bits: self.compare_bits(), skipped: 0, widen })
    }

    /// Every operation once, and what has another form or uses a value again.
    pub fn steps(&self) -> Vec<Step> {
        let mut all: Vec<Step> = steps(self).into_iter().map(|(_, step)| step).collect();
        let constant = Linear { terms: Vec::new(), bias: Some(WeightId(3)), shift: self.shift() };
        all.push(step(Operation::Linear(constant), &[], &[LEN]));
        // A square, and a product of values that share masks.
        all.push(step(self.product(), &[8, 8], &SHAPE));
        all.push(step(self.product(), &[0, 12], &SHAPE));
        // As many bits as there are, of a value in the large ring.
        let compare_bits = self.ring_bits.min(63) - 1;
        let wide = Activation { function: Rectifier::Relu, compare_bits, skipped: 0, widen: false };
        all.push(step(Operation::Activation(wide), &[1], &SHAPE));
        all.push(step(self.activation(Rectifier::ClippedRelu { limit: 2 }, true), &[2], &SHAPE));
        // What shares its mask with what was compared before.
        all.push(step(self.activation(Rectifier::Relu, true), &[2], &SHAPE));
        all
    }

    /// An entry whose step is another operation: none.
    pub fn wrong_entries() -> Vec<&'static str> {
        let all = steps(&Network { ring_bits: 64 }).into_iter();
        all.filter(|(name, step)| entry(&step.operation) != *name).map(|(name, _)| name).collect()
    }

    /// What inputs are held to.
    fn bounds(&self) -> Bounds {
        let end = 1 << (self.ring_bits / 4);
        Bounds { low: -end, high: end - 1 }
    }

    /// Numbers within the bounds, as a secret tells them.
    fn numbers(&self, secret: u64, tensor: usize, len: usize) -> Vec<u64> {
        let Bounds { low, high } = self.bounds();
        let width = (high - low + 1) as u64;
        let number = |at| (scramble(secret, tensor as u64, at) % width).wrapping_add(low as u64);
        (0..len as u64).map(|at| number(at) & self.mask()).collect()
    }

    /// Inputs of which some elements are beyond their bounds.
    pub fn inputs_beyond(&self, secret: u64) -> Vec<Vec<u64>> {
        let mut inputs = self.inputs(secret);
        let Bounds { low, high } = self.bounds();
        for (i, input) in inputs.iter_mut().enumerate() {
            for at in 0..3 {
                let at = scramble(secret, 9, at + 7 * i as u64) % input.len() as u64;
                let beyond = scramble(secret, 10, at) % (high - low) as u64 + 1;
                input[at as usize] = (high as u64).wrapping_add(beyond) & self.mask();
            }
        }
        inputs
    }

    fn mask(&self) -> u64 {
        u64::MAX >> (64 - self.ring_bits)
    }

    /// A party's side: inputs are held to their bounds, the network is computed, with an operation in its
    /// middle that is refused, and a part of it once more, as for another batch. Returns what was revealed,
    /// and the last values.
    ///
    /// # Errors
    /// The first step's that fails, where it should not.
    pub fn reveal<P: Protocol>(
        &self,
        party: &mut P,
        inputs: &[P::Value],
        weights: &[P::Weight],
    ) -> Result<(Vec<Vec<u8>>, Vec<P::Value>), Error> {
        let bounds = self.bounds();
        party.require_within(&inputs.iter().map(|x| (x, bounds)).collect::<Vec<_>>())?;
        let mut values: Vec<(P::Value, Vec<usize>)> =
            inputs.iter().map(|x| (x.clone(), SHAPE.to_vec())).collect();
        let mut revealed = Vec::new();
        for batch in [self.steps(), steps(self).into_iter().map(|(_, step)| step).take(2).collect()] {
            values.truncate(inputs.len());
            for (number, Step { operation, operands, shape }) in batch.into_iter().enumerate() {
                let operand = |at: &usize| {
                    let (value, shape) = values.get(*at).ok_or(Error::Operand { index: *at, given: 0 })?;
                    Ok(Operand { shape, value })
                };
                let inputs = operands.iter().map(operand).collect::<Result<Vec<_>, Error>>()?;
                if number == 5 {
                    let nothing =
                        Activation { function: Rectifier::Relu, compare_bits: 1, skipped: 0, widen: false };
                    let inputs = inputs.iter().map(|x| Operand { ..*x }).collect();
                    let refused = party.apply(
                        &Operation::Activation(nothing),
                        &Operands { inputs, weights, ring_bits: self.ring_bits },
                    );
                    if refused.is_ok() {
                        return Err(Error::Range { operation: "relu", reason: "it is not refused".into() });
                    }
                }
                let value =
                    party.apply(&operation, &Operands { inputs, weights, ring_bits: self.ring_bits })?;
                values.push((value, shape));
            }
            for (value, _) in values.iter().rev().take(3) {
                revealed.push(party.reveal(value)?);
            }
        }
        Ok((revealed, values.into_iter().map(|(value, _)| value).collect()))
    }

    /// The same of inputs that are not within their bounds: how it ends, for a party that hears of it.
    ///
    /// # Errors
    /// A link's.
    pub fn refuse<P: Protocol>(&self, party: &mut P, inputs: &[P::Value]) -> Result<bool, Error> {
        let bounds = self.bounds();
        match party.require_within(&inputs.iter().map(|x| (x, bounds)).collect::<Vec<_>>()) {
            Err(Error::Outside) => Ok(true),
            other => other.map(|()| false),
        }
    }
}

impl Scenario for Network {
    fn ring_bits(&self) -> u32 {
        self.ring_bits
    }

    fn lengths(&self) -> (Vec<usize>, Vec<usize>) {
        (vec![LEN; 2], WEIGHTS.to_vec())
    }

    fn inputs(&self, secret: u64) -> Vec<Vec<u64>> {
        (0..2).map(|input| self.numbers(secret, input, LEN)).collect()
    }

    fn weights(&self, secret: u64) -> Vec<Vec<u64>> {
        (2..).zip(WEIGHTS).map(|(tensor, len)| self.numbers(secret, tensor, len)).collect()
    }

    fn play<P: Protocol>(
        &self,
        party: &mut P,
        inputs: Vec<P::Value>,
        weights: Vec<P::Weight>,
    ) -> Result<Vec<P::Value>, Error> {
        Ok(self.reveal(party, &inputs, &weights)?.1)
    }
}

/// A number for each secret, tensor and place; zero for secret 0.
fn scramble(secret: u64, tensor: u64, at: u64) -> u64 {
    let mut word = secret.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_mul(1 + 2 * at).rotate_left(23);
    word = word.wrapping_mul(0xd6e8_feb8_6659_fd93).wrapping_mul(3 + 2 * tensor);
    (word ^ word >> 31).wrapping_mul(0xff51_afd7_ed55_8ccd) >> 7
}
