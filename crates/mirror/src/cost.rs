//! Mirror's costs: what the steps' formulas are made of, and which step an operation is. Each step
//! has its formula beside its code. Rounds count messages between the evaluators: what P2 deals
//! depends on no input and is on its way before it is needed.

use cryptflow_mpc::{Cost, CostModel, Error, Layout, Place};
use cryptflow_operation::{Bounds, Operation};
use cryptflow_ring::pack::packed_len;

use crate::share::weight_parts;
use crate::tuning::{Tuning, cut};

/// What Mirror's operations cost under a tuning.
#[derive(Clone, Copy, Debug, Default)]
pub struct MirrorCosts {
    /// The tuning that the parties run with.
    pub tuning: Tuning,
}

impl MirrorCosts {
    /// Sums a size over the blocks of a tensor; all blocks but the last are alike.
    fn over_blocks(&self, len: usize, size: impl Fn(usize) -> usize) -> u64 {
        let block = self.tuning.block;
        let (full, rest) = (len / block, len % block);
        (full * size(block) + if rest > 0 { size(rest) } else { 0 }) as u64
    }

    /// P2 deals a block of which P1 is sent the first part and P0 the rest.
    pub(crate) fn dealt(&self, len: usize, size: impl Fn(usize) -> usize) -> Cost {
        let to0 = self.over_blocks(len, |n| size(n - cut(n)));
        let to1 = self.over_blocks(len, |n| size(cut(n)));
        Cost { rounds: 0, bytes: [[0; 3], [0; 3], [to0, to1, 0]].into() }
    }

    /// Each evaluator sends the other a message for each block.
    pub(crate) fn opened(&self, len: usize, size: impl Fn(usize) -> usize) -> Cost {
        let bytes = self.over_blocks(len, size);
        Cost { rounds: u64::from(bytes > 0), bytes: [[0, bytes, 0], [bytes, 0, 0], [0; 3]].into() }
    }

    pub(crate) fn deal_values(&self, len: usize, bits: u32) -> Cost {
        self.dealt(len, |n| packed_len(n, bits))
    }

    pub(crate) fn open_values(&self, len: usize, bits: u32) -> Cost {
        self.opened(len, |n| packed_len(n, bits))
    }
}

impl CostModel for MirrorCosts {
    fn input(&self, len: usize, ring_bits: u32) -> Layout {
        Layout { len, bits: ring_bits }
    }

    fn weight(&self, len: usize, ring_bits: u32, bits: u32) -> Vec<u64> {
        weight_parts(len, ring_bits, bits).to_vec()
    }

    fn input_ahead(&self, len: usize, ring_bits: u32) -> Cost {
        self.masked_anew(len, ring_bits)
    }

    fn input_check(&self, inputs: &[(usize, Bounds)], ring_bits: u32) -> Cost {
        self.within(inputs, ring_bits)
    }

    fn beside(&self) -> bool {
        self.tuning.beside
    }

    /// The result lives in the ring that the operation's rules say, which are Mirror's.
    fn cost(&self, operation: &Operation, place: &Place<'_>) -> Result<(Cost, Layout), Error> {
        let rings: Vec<u32> = place.inputs.iter().map(|x| x.bits).collect();
        let bits = operation.rules().ring(&rings, place.ring_bits).unwrap_or(0);
        let result = Layout { len: place.len, bits };
        let cost = match operation {
            Operation::Linear(_) | Operation::Product(_) => self.truncate(result),
            Operation::Compare(o) => self.compare(place.x()?, o, place.ring_bits),
            Operation::ScalePublic(_) => self.open_values(result.len, result.bits),
            Operation::Widen => self.widen(place.x()?, bits),
            Operation::Activation(o) => self.activation(place.x()?, o, bits),
            Operation::MaxPool(o) => self.max_pool(place.x()?, o),
            Operation::Combine(_)
            | Operation::SumPool(_)
            | Operation::Add
            | Operation::Sub
            | Operation::Movement(_) => Cost::FREE,
        };
        Ok((cost, result))
    }
}
