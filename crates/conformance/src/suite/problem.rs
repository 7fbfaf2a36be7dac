//! A problem: a few inputs and weights, and operations on them. Data only.

use cryptflow_mpc::clear::{ClearValue, reduce};
use cryptflow_mpc::{Cost, CostModel, Error, Layout, Operand, Operands, Place, Protocol};
use cryptflow_operation::{Activation, Linear, LinearTerm, Operation, Rectifier, ScalePublic, WeightId};
use cryptflow_ring::{LinearMap, Movement};

/// Index of a value of a problem: the inputs come first, then one value for each step.
pub(super) type Id = usize;

/// An operation and its operands.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) operation: Operation,
    pub(super) inputs: Vec<Id>,
    /// The operands' shapes; none where only their length matters.
    shapes: Vec<Vec<usize>>,
    /// Bits of the ring to which it brings its result, if it widens.
    ring_bits: u32,
}

/// A small program over Z_2^ring_bits, with its data. Every value that it computes is checked, not
/// the last one alone.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) name: String,
    pub(super) ring_bits: u32,
    /// Wide inputs.
    pub(super) inputs: Vec<Vec<i64>>,
    pub(super) weights: Vec<Vec<i64>>,
    pub(super) steps: Vec<Step>,
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

    pub(super) fn step(&mut self, operation: Operation, inputs: &[Id]) -> Id {
        self.step_to(operation, inputs, self.ring_bits)
    }

    /// A step that widens to this ring, and not to that of the problem.
    pub(super) fn step_to(&mut self, operation: Operation, inputs: &[Id], ring_bits: u32) -> Id {
        self.push(Step { operation, inputs: inputs.to_vec(), shapes: Vec::new(), ring_bits })
    }

    /// A linear map: of each term its map, its operand and its weight.
    pub(super) fn linear(
        &mut self,
        terms: Vec<(LinearMap, Id, usize)>,
        bias: Option<usize>,
        shift: u32,
    ) -> Id {
        let inputs: Vec<Id> = terms.iter().map(|&(_, x, _)| x).collect();
        let term = |(input, (map, _, w)): (usize, _)| LinearTerm { input, weight: WeightId(w), map };
        let terms = terms.into_iter().enumerate().map(term).collect();
        self.step(Operation::Linear(Linear { terms, bias: bias.map(WeightId), shift }), &inputs)
    }

    /// A movement of operands of these shapes.
    pub(super) fn movement(&mut self, movement: Movement, inputs: Vec<(Vec<usize>, Id)>) -> Id {
        let (shapes, inputs) = inputs.into_iter().unzip();
        let ring_bits = self.ring_bits;
        self.push(Step { operation: Operation::Movement(movement), inputs, shapes, ring_bits })
    }

    fn push(&mut self, step: Step) -> Id {
        self.steps.push(step);
        self.inputs.len() + self.steps.len() - 1
    }

    /// Brings an input into Z_2^bits, its value unchanged: `x * 2^s / 2^s` is exact in every
    /// protocol. Where a protocol has one ring alone, there is nothing to do.
    pub(super) fn narrow(&mut self, x: Id, bits: u32) -> Id {
        let shift = self.ring_bits.saturating_sub(bits);
        if self.one_ring || shift == 0 {
            return x;
        }
        // Beyond 2^62 a factor is a power of two whose sign does not matter modulo 2^ring_bits.
        self.step(scale_public(&[1i64.wrapping_shl(shift)], shift), &[x])
    }

    /// Bits of the largest ring in which each weight is used, as `Checked::weight_rings` says it of a program.
    pub(super) fn weight_rings(&self) -> Vec<u32> {
        let mut rings = vec![self.ring_bits; self.inputs.len()];
        let mut of = vec![1; self.weights.len()];
        for step in &self.steps {
            let operands: Vec<u32> = step.inputs.iter().filter_map(|&id| rings.get(id).copied()).collect();
            if let Operation::Linear(linear) = &step.operation {
                let ring = operands.iter().copied().min().unwrap_or(step.ring_bits);
                for weight in linear.terms.iter().map(|term| term.weight).chain(linear.bias) {
                    if let Some(slot) = of.get_mut(weight.0) {
                        *slot = ring.max(*slot);
                    }
                }
            }
            rings.push(step.operation.rules().ring(&operands, step.ring_bits).unwrap_or(self.ring_bits));
        }
        of
    }

    /// Elements that are shared or computed, roughly: what a session should not hold too many of.
    pub(super) fn weight_of_data(&self) -> usize {
        let elements: usize = self.inputs.iter().chain(&self.weights).map(Vec::len).sum();
        elements * (1 + self.steps.len())
    }
}

impl Step {
    pub(super) fn name(&self) -> &'static str {
        self.operation.name()
    }

    /// What a party does.
    pub(super) fn apply<P: Protocol>(
        &self,
        party: &mut P,
        values: &[P::Value],
        weights: &[P::Weight],
    ) -> Result<P::Value, Error> {
        let operand = |(i, &id): (usize, &Id)| {
            Ok(Operand { shape: self.shapes.get(i).map_or(&[], Vec::as_slice), value: at(values, id)? })
        };
        let inputs = self.inputs.iter().enumerate().map(operand).collect::<Result<_, Error>>()?;
        party.apply(&self.operation, &Operands { inputs, weights, ring_bits: self.ring_bits })
    }

    /// What the protocol says that it costs. `len` is the number of elements of the result.
    pub(super) fn cost(
        &self,
        costs: &dyn CostModel,
        layouts: &[Layout],
        len: usize,
    ) -> Result<(Cost, Layout), Error> {
        let inputs = self.inputs.iter().map(|&id| at(layouts, id).copied()).collect::<Result<Vec<_>, _>>()?;
        costs.cost(&self.operation, &Place { inputs: &inputs, len, ring_bits: self.ring_bits })
    }
}

/// `max(x, 0)`.
pub(super) fn relu(compare_bits: u32, widen: bool) -> Operation {
    Operation::Activation(Activation { function: Rectifier::Relu, compare_bits, skipped: 0, widen })
}

/// `min(max(x, 0), limit)`.
pub(super) fn clipped_relu(limit: u64, compare_bits: u32, widen: bool) -> Operation {
    let function = Rectifier::ClippedRelu { limit };
    Operation::Activation(Activation { function, compare_bits, skipped: 0, widen })
}

/// Products with public factors.
pub(super) fn scale_public(factors: &[i64], shift: u32) -> Operation {
    let factors = factors.iter().map(|&c| c as u64).collect();
    Operation::ScalePublic(ScalePublic { factors, shift })
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
