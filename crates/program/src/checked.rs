//! A program that was held to its rules.

use std::ops::Deref;

use cryptflow_operation::Truncating;

use crate::program::{Program, ValueId};

/// A program that keeps every rule: what [`crate::validate`] makes of a [`Program`], and all that
/// is run, estimated or written. It cannot be changed; [`Checked::into_program`] gives the program
/// back, unchecked.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    program: Program,
    rings: Vec<u32>,
    elements: Vec<usize>,
}

impl Checked {
    /// `rings` and `elements` hold a number for each value.
    pub(crate) fn new(program: Program, rings: Vec<u32>, elements: Vec<usize>) -> Checked {
        Checked { program, rings, elements }
    }

    /// The program, to be changed, and checked again.
    pub fn into_program(self) -> Program {
        self.program
    }

    /// Bits of the ring of every value: K for inputs and other wide values, fewer after a
    /// truncation.
    pub fn rings(&self) -> &[u32] {
        &self.rings
    }

    /// Bits of the largest ring in which each weight is used, as a factor or a bias: what a party's part of it has
    /// above them is nothing to any step.
    pub fn weight_rings(&self) -> Vec<u32> {
        let mut rings = vec![1; self.program.weights.len()];
        for step in &self.program.steps {
            let linear = match step.operation.truncating() {
                Some(Truncating::Linear(linear)) => linear,
                Some(Truncating::Product(_) | Truncating::ScalePublic(_)) | None => continue,
            };
            let operands = step.inputs.iter().filter_map(|id| self.rings.get(id.0));
            let ring = operands.min().copied().unwrap_or_else(|| self.program.ring_of(step.output));
            for weight in linear.terms.iter().map(|term| term.weight).chain(linear.bias) {
                if let Some(slot) = rings.get_mut(weight.0) {
                    *slot = ring.max(*slot);
                }
            }
        }
        rings
    }

    /// Number of elements of a value of this program; zero for one that it does not have.
    pub fn elements(&self, id: ValueId) -> usize {
        self.elements.get(id.0).copied().unwrap_or(0)
    }
}

impl Deref for Checked {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}
