//! Weights in the plain, in no more memory than they need.

use std::borrow::Cow;

use cryptflow_operation::{Bounds, Operation};
use cryptflow_ring::bilinear::bilinear_into;
use cryptflow_ring::{Drawn, GeometryError, LinearMap};

use super::{Clear, ClearValue};
use crate::{Cost, Error, Operands, Party, Protocol};

/// A weight in the plain: elements of a ring, or integers of at most 32 bits, which all rings have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClearWeight {
    /// Elements of a ring.
    Elements(ClearValue),
    /// Integers.
    Short(Vec<i32>),
}

impl ClearWeight {
    /// Integers, in words of 32 bits where these hold all of them.
    pub fn of_integers(x: Vec<i64>) -> ClearWeight {
        let is_short = |&v: &i64| i64::from(v as i32) == v;
        match x.iter().all(is_short) {
            true => ClearWeight::Short(x.into_iter().map(|v| v as i32).collect()),
            false => ClearWeight::Elements(ClearValue::from_words(x)),
        }
    }

    /// The integers modulo 2^64.
    pub(super) fn words(&self) -> Cow<'_, [u64]> {
        match self {
            ClearWeight::Elements(value) => value.in_words(),
            ClearWeight::Short(integers) => integers.iter().map(|&v| i64::from(v) as u64).collect(),
        }
    }
}

/// What a linear map multiplies its operand with.
#[derive(Clone, Copy)]
pub(super) enum Factor<'a> {
    Weight(&'a ClearWeight),
    Value(&'a ClearValue),
}

impl<'a> Factor<'a> {
    /// Its integers modulo 2^64.
    pub(super) fn words(self) -> Cow<'a, [u64]> {
        match self {
            Factor::Weight(weight) => weight.words(),
            Factor::Value(value) => value.in_words(),
        }
    }

    /// Its integers.
    pub(super) fn signed(self) -> Vec<i64> {
        self.words().iter().map(|&v| v as i64).collect()
    }

    /// Adds what the map makes of `x` and it, modulo 2^64.
    pub(super) fn add_product(
        self,
        map: &LinearMap,
        x: &[u64],
        sum: &mut [u64],
    ) -> Result<(), GeometryError> {
        match self {
            Factor::Weight(ClearWeight::Short(integers)) => {
                // Extended where they are read.
                let extended = |first: usize, out: &mut [u64]| {
                    let part = integers.iter().skip(first);
                    out.iter_mut().zip(part).for_each(|(out, &v)| *out = i64::from(v) as u64);
                };
                bilinear_into(map, x, Drawn::new(integers.len(), u64::BITS, &extended), u64::BITS, sum)
            }
            Factor::Weight(ClearWeight::Elements(_)) | Factor::Value(_) => {
                bilinear_into(map, x, &*self.words(), 64, sum)
            }
        }
    }
}

/// A term of a sum of products.
pub(super) struct Summand<'a> {
    pub(super) map: &'a LinearMap,
    pub(super) x: &'a ClearValue,
    pub(super) w: Factor<'a>,
}

/// [`Clear`], with each weight in no more memory than it needs.
#[derive(Clone)]
pub struct ShortWeights(pub Clear);

impl Protocol for ShortWeights {
    type Value = ClearValue;
    type Weight = ClearWeight;

    fn party(&self) -> Party {
        self.0.party()
    }

    fn receive_value(&mut self, name: &str, len: usize, part: Vec<u8>) -> Result<ClearValue, Error> {
        self.0.receive_value(name, len, part)
    }

    fn receive_weight(
        &mut self,
        name: &str,
        len: usize,
        part: Vec<u8>,
        bits: u32,
    ) -> Result<ClearWeight, Error> {
        self.0.receive_weight(name, len, part, bits).map(ClearWeight::Elements)
    }

    fn require_within(&mut self, inputs: &[(&ClearValue, Bounds)]) -> Result<(), Error> {
        self.0.require_within(inputs)
    }

    fn reveal(&mut self, x: &ClearValue) -> Result<Vec<u8>, Error> {
        self.0.reveal(x)
    }

    fn apply(&mut self, operation: &Operation, on: &Operands<'_, ShortWeights>) -> Result<ClearValue, Error> {
        self.0.computed(operation, on, Factor::Weight)
    }

    fn metered(&self) -> Cost {
        self.0.metered()
    }
}
