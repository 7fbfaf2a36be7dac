//! What an operation works on.

use cryptflow_operation::{Linear, WeightId};
use cryptflow_ring::LinearMap;

use crate::{Error, Protocol};

/// A party's part of an operand, and the operand's shape.
pub struct Operand<'a, P: Protocol + ?Sized> {
    /// The shape; movements alone look at it.
    pub shape: &'a [usize],
    /// The party's part.
    pub value: &'a P::Value,
}

/// What an operation works on: its operands, and the weights of the program that it belongs to.
pub struct Operands<'a, P: Protocol + ?Sized> {
    /// The operands, in order.
    pub inputs: Vec<Operand<'a, P>>,
    /// The party's part of every weight of the program, by id.
    pub weights: &'a [P::Weight],
    /// Bits of the ring to which the step brings its result, if it widens; or in which it works, if
    /// it has no operands. At most those of the session's.
    pub ring_bits: u32,
}

/// One term `map(x, w)` of a linear operation.
pub struct Term<'a, P: Protocol + ?Sized> {
    /// The map.
    pub map: &'a LinearMap,
    /// Activations.
    pub x: &'a P::Value,
    /// Weights.
    pub w: &'a P::Weight,
}

impl<'a, P: Protocol + ?Sized> Operands<'a, P> {
    /// The operand of an operation that has one, or the first of several.
    ///
    /// # Errors
    /// There is none.
    pub fn x(&self) -> Result<&'a P::Value, Error> {
        self.at(0)
    }

    /// The second operand.
    ///
    /// # Errors
    /// There is none.
    pub fn y(&self) -> Result<&'a P::Value, Error> {
        self.at(1)
    }

    fn at(&self, index: usize) -> Result<&'a P::Value, Error> {
        let missing = || Error::Operand { index, given: self.inputs.len() };
        self.inputs.get(index).map(|x| x.value).ok_or_else(missing)
    }

    /// The terms of a linear operation, with their operands.
    ///
    /// # Errors
    /// An operand or a weight that does not exist.
    pub fn terms(&self, linear: &'a Linear) -> Result<Vec<Term<'a, P>>, Error> {
        let term = |term: &'a cryptflow_operation::LinearTerm| {
            Ok(Term { map: &term.map, x: self.at(term.input)?, w: self.weight(term.weight)? })
        };
        linear.terms.iter().map(term).collect()
    }

    /// The bias of a linear operation.
    ///
    /// # Errors
    /// A weight that does not exist.
    pub fn bias(&self, linear: &Linear) -> Result<Option<&'a P::Weight>, Error> {
        linear.bias.map(|id| self.weight(id)).transpose()
    }

    fn weight(&self, id: WeightId) -> Result<&'a P::Weight, Error> {
        self.weights.get(id.0).ok_or(Error::Weight { index: id.0, given: self.weights.len() })
    }
}
