//! A problem: a few inputs and weights, and operations on them. Data only.

use cryptflow_ring::{LinearMap, Movement, Window};

use crate::clear::{ClearValue, reduce};
use crate::{Cost, CostModel, Error, Layout, Protocol, Term};

/// Index of a value of a problem: the inputs come first, then one value for each step.
pub(super) type Id = usize;

/// An operation of [`Protocol`], with its operands.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Linear { terms: Vec<(LinearMap, Id, usize)>, bias: Option<usize>, shift: u32 },
    Product { map: LinearMap, x: Id, y: Id, shift: u32 },
    Compare { x: Id, thresholds: Vec<i64>, compare_bits: u32 },
    Combine { x: Id, factors: Vec<i64>, offsets: Vec<i64> },
    ScalePublic { x: Id, factors: Vec<i64>, shift: u32 },
    Widen { x: Id },
    Relu { x: Id, compare_bits: u32, widen: bool },
    ClippedRelu { x: Id, limit: u64, compare_bits: u32, widen: bool },
    MaxPool { x: Id, input: [usize; 4], window: Window, compare_bits: u32 },
    SumPool { x: Id, input: [usize; 4], window: Window },
    Add { x: Id, y: Id },
    Sub { x: Id, y: Id },
    Movement { movement: Movement, inputs: Vec<(Vec<usize>, Id)> },
}

/// A small program over Z_2^ring_bits, with its data. Every value that it computes is checked, not the last one alone.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) name: String,
    pub(super) ring_bits: u32,
    /// Wide inputs.
    pub(super) inputs: Vec<Vec<i64>>,
    pub(super) weights: Vec<Vec<i64>>,
    pub(super) steps: Vec<Operation>,
    /// What the protocol can do: the builder heeds it.
    one_ring: bool,
}

impl Problem {
    pub(super) fn new(name: impl Into<String>, ring_bits: u32, one_ring: bool) -> Problem {
        Problem {
            name: name.into(),
            ring_bits,
            inputs: Vec::new(),
            weights: Vec::new(),
            steps: Vec::new(),
            one_ring,
        }
    }

    /// A wide input. All inputs come before the first step.
    pub(super) fn input(&mut self, data: Vec<i64>) -> Id {
        debug_assert!(self.steps.is_empty(), "inputs come before steps");
        self.inputs.push(data);
        self.inputs.len() - 1
    }

    pub(super) fn weight(&mut self, data: Vec<i64>) -> usize {
        self.weights.push(data);
        self.weights.len() - 1
    }

    pub(super) fn step(&mut self, operation: Operation) -> Id {
        self.steps.push(operation);
        self.inputs.len() + self.steps.len() - 1
    }

    /// Brings an input into Z_2^bits, its value unchanged: `x * 2^s / 2^s` is exact in every protocol. Where a protocol
    /// has one ring alone, there is nothing to do.
    pub(super) fn narrow(&mut self, x: Id, bits: u32) -> Id {
        let shift = self.ring_bits.saturating_sub(bits);
        if self.one_ring || shift == 0 {
            return x;
        }
        // Beyond 2^62 a factor is a power of two whose sign does not matter modulo 2^ring_bits.
        self.step(Operation::ScalePublic { x, factors: vec![1i64.wrapping_shl(shift)], shift })
    }

    /// Elements that are shared or computed, roughly: what a session should not hold too many of.
    pub(super) fn weight_of_data(&self) -> usize {
        let elements: usize = self.inputs.iter().chain(&self.weights).map(Vec::len).sum();
        elements * (1 + self.steps.len())
    }
}

impl Operation {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Operation::Linear { .. } => "linear",
            Operation::Product { .. } => "product",
            Operation::Compare { .. } => "compare",
            Operation::Combine { .. } => "combine",
            Operation::ScalePublic { .. } => "scale_public",
            Operation::Widen { .. } => "widen",
            Operation::Relu { .. } => "relu",
            Operation::ClippedRelu { .. } => "clipped_relu",
            Operation::MaxPool { .. } => "max_pool",
            Operation::SumPool { .. } => "sum_pool",
            Operation::Add { .. } => "add",
            Operation::Sub { .. } => "sub",
            Operation::Movement { .. } => "movement",
        }
    }

    /// What a party does.
    pub(super) fn apply<P: Protocol>(
        &self,
        party: &mut P,
        values: &[P::Value],
        weights: &[P::Weight],
    ) -> Result<P::Value, Error> {
        let value = |id: Id| at(values, id);
        match self {
            Operation::Linear { terms, bias, shift } => {
                let terms = terms
                    .iter()
                    .map(|(map, x, w)| Ok(Term { map, x: value(*x)?, w: at(weights, *w)? }))
                    .collect::<Result<Vec<Term<'_, P>>, Error>>()?;
                let bias = bias.map(|b| at(weights, b)).transpose()?;
                party.linear(&terms, bias, *shift)
            }
            Operation::Product { map, x, y, shift } => party.product(map, value(*x)?, value(*y)?, *shift),
            Operation::Compare { x, thresholds, compare_bits } => {
                party.compare(value(*x)?, thresholds, *compare_bits)
            }
            Operation::Combine { x, factors, offsets } => party.combine(value(*x)?, factors, offsets),
            Operation::ScalePublic { x, factors, shift } => {
                let factors: Vec<u64> = factors.iter().map(|&c| c as u64).collect();
                party.scale_public(value(*x)?, &factors, *shift)
            }
            Operation::Widen { x } => party.widen(value(*x)?),
            Operation::Relu { x, compare_bits, widen } => party.relu(value(*x)?, *compare_bits, *widen),
            Operation::ClippedRelu { x, limit, compare_bits, widen } => {
                party.clipped_relu(value(*x)?, *limit, *compare_bits, *widen)
            }
            Operation::MaxPool { x, input, window, compare_bits } => {
                party.max_pool(value(*x)?, *input, window, *compare_bits)
            }
            Operation::SumPool { x, input, window } => party.sum_pool(value(*x)?, *input, window),
            Operation::Add { x, y } => party.add(value(*x)?, value(*y)?),
            Operation::Sub { x, y } => party.sub(value(*x)?, value(*y)?),
            Operation::Movement { movement, inputs } => {
                let inputs = inputs
                    .iter()
                    .map(|(shape, id)| Ok((shape.as_slice(), value(*id)?)))
                    .collect::<Result<Vec<_>, Error>>()?;
                party.movement(movement, &inputs)
            }
        }
    }

    /// What the protocol says that it costs. `len` is the number of elements of the result.
    pub(super) fn cost(
        &self,
        costs: &dyn CostModel,
        layouts: &[Layout],
        ring_bits: u32,
        len: usize,
    ) -> Result<(Cost, Layout), Error> {
        let layout = |id: Id| at(layouts, id).copied();
        let to = |widen: bool| widen.then_some(ring_bits);
        Ok(match self {
            Operation::Linear { terms, shift, .. } => {
                let maps: Vec<&LinearMap> = terms.iter().map(|(map, ..)| map).collect();
                let bits = terms.first().map_or(Ok(ring_bits), |(_, x, _)| layout(*x).map(|l| l.bits))?;
                costs.linear(&maps, Layout { len, bits }, *shift)
            }
            Operation::Product { map, x, y, shift } => costs.product(map, layout(*x)?, layout(*y)?, *shift),
            Operation::Compare { x, thresholds, compare_bits } => {
                costs.compare(layout(*x)?, thresholds.len(), *compare_bits, ring_bits)
            }
            Operation::Combine { x, factors, offsets } => {
                costs.combine(layout(*x)?, factors.len(), offsets.len())
            }
            Operation::ScalePublic { x, shift, .. } => costs.scale_public(layout(*x)?, *shift),
            Operation::Widen { x } => costs.widen(layout(*x)?, ring_bits),
            Operation::Relu { x, compare_bits, widen } => costs.relu(layout(*x)?, *compare_bits, to(*widen)),
            Operation::ClippedRelu { x, compare_bits, widen, .. } => {
                costs.clipped_relu(layout(*x)?, *compare_bits, to(*widen))
            }
            Operation::MaxPool { x, input, window, compare_bits } => {
                costs.max_pool(layout(*x)?, *input, window, *compare_bits)
            }
            Operation::SumPool { x, input, window } => costs.sum_pool(layout(*x)?, *input, window),
            Operation::Add { x, y } | Operation::Sub { x, y } => costs.add(layout(*x)?, layout(*y)?),
            Operation::Movement { movement, inputs } => {
                let inputs = inputs.iter().map(|(_, id)| layout(*id)).collect::<Result<Vec<_>, _>>()?;
                costs.movement(movement, &inputs, len)
            }
        })
    }
}

/// An operand, or an error that names the suite and not the protocol.
fn at<T>(items: &[T], id: usize) -> Result<&T, Error> {
    items.get(id).ok_or_else(|| Error::Range {
        operation: "the conformance suite",
        reason: format!("operand {id} does not exist: the problem is malformed"),
    })
}

/// Integers as elements of Z_2^bits.
pub(super) fn elements(x: &[i64], bits: u32) -> Vec<u64> {
    x.iter().map(|&v| reduce(v as u64, bits)).collect()
}

/// The same as a plain value.
pub(super) fn plain(x: &[i64], bits: u32) -> ClearValue {
    ClearValue::from_signed(x, bits)
}
