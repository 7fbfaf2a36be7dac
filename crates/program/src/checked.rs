//! A program that was held to its rules.

use std::ops::Deref;

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
