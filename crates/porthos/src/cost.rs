//! Porthos' costs: the paper's formulas, with eight bits for an element of Z_p.
//!
//! | operation | bits, l = 64 |
//! |---|---|
//! | product (m×n)·(n×k) | (2mn + 2nk + mk) l |
//! | convolution, input h×w×i, kernel f×f, output q×q×o | (2·min(hwi, q²f²i) + 2f²io + q²o) l |
//! | ShareConvert | 3 l log p + 5 l |
//! | ComputeMSB | 3 l log p + 9 l |
//! | comparison with a public threshold | 6 l log p + 14 l: 496 bytes |
//! | ReLU | 6 l log p + 19 l: 536 bytes |
//! | maximum of n | n − 1 ReLUs |

use cryptflow_mpc::{Cost, CostModel, Error, Layout, Place};
use cryptflow_operation::{Bounds, Operation, Rectifier};

use crate::session::WORD;
use crate::share::SEED;
use crate::truncation::Truncation;
use crate::tuning::{Tuning, cut};

/// What Porthos' operations cost. Values live in one ring, Z_2^64, whatever the program's rings
/// are.
#[derive(Clone, Copy, Debug, Default)]
pub struct PorthosCosts {
    /// How the parties truncate.
    pub truncation: Truncation,
    /// The tuning that they run with.
    pub tuning: Tuning,
}

impl PorthosCosts {
    /// The elements of a tensor that P0 and P1 are sent, where P2 sends each of them to one of the two.
    pub(crate) fn halves(&self, len: usize) -> [u64; 2] {
        let block = self.tuning.block;
        let of_block = |n: usize| [n - cut(n), cut(n)];
        let (full, rest) = (of_block(block), of_block(len % block));
        std::array::from_fn(|i| (len / block * full[i] + rest[i]) as u64)
    }

    /// P0 and P1 send each other `words`; P2 deals `dealt` elements of `bytes`, half of them to each.
    /// One round.
    pub(crate) fn exchanged(&self, words: u64, dealt: usize, bytes: u64) -> Cost {
        let sent = words * WORD as u64;
        let [to0, to1] = self.halves(dealt).map(|n| n * bytes);
        Cost { rounds: 1, bytes: [[0, sent, 0], [sent, 0, 0], [to0, to1, 0]].into() }
    }
}

impl CostModel for PorthosCosts {
    fn input(&self, len: usize, _ring_bits: u32) -> Layout {
        Layout { len, bits: 64 }
    }

    fn weight(&self, len: usize, _ring_bits: u32, _bits: u32) -> Vec<u64> {
        vec![SEED as u64, (len * WORD) as u64, 0]
    }

    fn input_check(&self, inputs: &[(usize, Bounds)], _ring_bits: u32) -> Cost {
        self.within(inputs)
    }

    fn cost(&self, operation: &Operation, place: &Place<'_>) -> Result<(Cost, Layout), Error> {
        let len = place.len;
        let cost = match operation {
            Operation::Linear(o) => {
                let maps = o.terms.iter().map(|term| &term.map);
                self.linear(maps, len) + self.truncation(len, o.shift)
            }
            Operation::Product(o) => {
                self.linear(std::iter::once(&o.map), len) + self.truncation(len, o.shift)
            }
            Operation::Compare(_) => Cost::in_waves(len, self.tuning.wave, |n| self.derivative(n)),
            Operation::ScalePublic(o) => self.truncation(len, o.shift),
            Operation::Activation(o) => match o.function {
                Rectifier::Relu => self.relu(len),
                Rectifier::ClippedRelu { .. } => self.relu(2 * len),
            },
            Operation::MaxPool(o) => self.max_pool(&o.window, len),
            Operation::Combine(_)
            | Operation::Widen
            | Operation::SumPool(_)
            | Operation::Add
            | Operation::Sub
            | Operation::Movement(_) => Cost::FREE,
        };
        Ok((cost, Layout { len, bits: 64 }))
    }
}
