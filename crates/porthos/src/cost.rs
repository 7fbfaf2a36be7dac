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

use crate::session::{BLOCK, WAVE, WORD, cut};
use crate::truncation::Truncation;
use crate::{max_pool, relu, triples, truncation, within};

/// What Porthos' operations cost. Values live in one ring, Z_2^64, whatever the program's rings
/// are.
#[derive(Clone, Copy, Debug, Default)]
pub struct PorthosCosts {
    /// How the parties truncate.
    pub truncation: Truncation,
}

/// The elements of a tensor that P0 and P1 are sent, where P2 sends each of them to one of the two.
pub(crate) fn halves(len: usize) -> [u64; 2] {
    let of_block = |n: usize| [n - cut(n), cut(n)];
    let (full, rest) = (of_block(BLOCK), of_block(len % BLOCK));
    std::array::from_fn(|i| (len / BLOCK * full[i] + rest[i]) as u64)
}

/// P0 and P1 send each other `words`; P2 deals `dealt` elements of `bytes`, half of them to each.
/// One round.
pub(crate) fn exchanged(words: u64, dealt: usize, bytes: u64) -> Cost {
    let sent = words * WORD as u64;
    let [to0, to1] = halves(dealt).map(|n| n * bytes);
    Cost { rounds: 1, bytes: [[0, sent, 0], [sent, 0, 0], [to0, to1, 0]].into() }
}

impl CostModel for PorthosCosts {
    fn input(&self, len: usize, _ring_bits: u32) -> Layout {
        Layout { len, bits: 64 }
    }

    fn input_check(&self, inputs: &[(usize, Bounds)], _ring_bits: u32) -> Cost {
        within::cost(inputs)
    }

    fn cost(&self, operation: &Operation, place: &Place<'_>) -> Result<(Cost, Layout), Error> {
        let len = place.len;
        let truncation = |shift| truncation::cost(self.truncation, len, shift);
        let cost = match operation {
            Operation::Linear(o) => {
                let maps = o.terms.iter().map(|term| &term.map);
                triples::cost(maps, len) + truncation(o.shift)
            }
            Operation::Product(o) => triples::cost(std::iter::once(&o.map), len) + truncation(o.shift),
            Operation::Compare(_) => Cost::in_waves(len, WAVE, relu::derivative_cost),
            Operation::ScalePublic(o) => truncation(o.shift),
            Operation::Activation(o) => match o.function {
                Rectifier::Relu => relu::cost(len),
                Rectifier::ClippedRelu { .. } => relu::cost(2 * len),
            },
            Operation::MaxPool(o) => max_pool::cost(&o.window, len),
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
