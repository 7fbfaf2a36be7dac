//! The one enum of operations.

use cryptflow_ring::Movement;
use serde::{Deserialize, Serialize};

use crate::form::{Form, Integers};
use crate::placement::{Addition, Subtraction, Widening};
use crate::rules::{Bounds, Named, Reach, Rules};
use crate::{Activation, Combine, Compare, Linear, MaxPool, Product, ScalePublic, SumPool};

/// An operation on secret values.
///
/// *Wide* values live in a ring that has room for what is computed of them, Z_2^K; a truncation
/// leaves a *narrow* value, in a ring that is smaller by the bits shifted out (and one more, in
/// Mirror). Linear maps, products, multiplications by public factors and sums over windows need wide
/// operands; [`Operation::Widen`] and an activation that widens make them, each for the ring that
/// the program says (that of all inputs, where it says nothing). Protocols with one ring treat `Widen` as
/// the identity, at no cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "op")]
#[serde(bound(
    serialize = "F::Weight: Serialize, F::Bias: Serialize, F::Factor: Serialize, F::Limit: Serialize, \
                 F::Shift: Serialize, F::CompareBits: Serialize, F::Skipped: Serialize, F::Widens: Serialize",
    deserialize = "F::Weight: Deserialize<'de>, F::Bias: Deserialize<'de>, F::Factor: Deserialize<'de>, \
                   F::Limit: Deserialize<'de>, F::Shift: Deserialize<'de>, F::CompareBits: Deserialize<'de>, \
                   F::Skipped: Deserialize<'de>, F::Widens: Deserialize<'de>"
))]
pub enum Operation<F: Form = Integers> {
    /// Weighted sums: `(Σ map(x, w) + bias) / 2^shift`.
    Linear(Linear<F>),
    /// A product of two secrets: `map(x, y) / 2^shift`.
    Product(Product<F>),
    /// Bits: whether x reaches public thresholds.
    Compare(Compare<F>),
    /// Combinations with public integers along the first axis.
    Combine(Combine),
    /// `x * factor / 2^shift` for public factors.
    ScalePublic(ScalePublic<F>),
    /// Narrow to wide, into a larger ring; the value is unchanged.
    Widen,
    /// ReLU or clipped ReLU, element by element.
    Activation(Activation<F>),
    /// Maximum over windows.
    MaxPool(MaxPool<F>),
    /// Sum over windows.
    SumPool(SumPool),
    /// `x + y`, same shapes and scales.
    Add,
    /// `x − y`, same shapes and scales.
    Sub,
    /// A movement of elements.
    Movement(Movement),
}

/// The operation behind a variant, as a trait object: the one match that everything here goes
/// through.
macro_rules! described {
    ($operation:expr) => {
        match $operation {
            Operation::Linear(o) => o,
            Operation::Product(o) => o,
            Operation::Compare(o) => o,
            Operation::Combine(o) => o,
            Operation::ScalePublic(o) => o,
            Operation::Widen => &Widening,
            Operation::Activation(o) => o,
            Operation::MaxPool(o) => o,
            Operation::SumPool(o) => o,
            Operation::Add => &Addition,
            Operation::Sub => &Subtraction,
            Operation::Movement(o) => o,
        }
    };
}

/// Where an operation keeps what it says of its comparisons, by reference or to be changed: the bits that they look at, or
/// those that they skip.
macro_rules! compared {
    ($operation:expr, $field:ident) => {
        match $operation {
            Operation::Compare(Compare { $field, .. })
            | Operation::Activation(Activation { $field, .. })
            | Operation::MaxPool(MaxPool { $field, .. }) => Some($field),
            Operation::Linear(_)
            | Operation::Product(_)
            | Operation::Combine(_)
            | Operation::ScalePublic(_)
            | Operation::Widen
            | Operation::SumPool(_)
            | Operation::Add
            | Operation::Sub
            | Operation::Movement(_) => None,
        }
    };
}

/// An operation that shifts bits out of what it has computed.
#[derive(Clone, Copy, Debug)]
pub enum Truncating<'a, F: Form = Integers> {
    /// Weighted sums.
    Linear(&'a Linear<F>),
    /// A product of two secrets.
    Product(&'a Product<F>),
    /// A multiplication by public factors.
    ScalePublic(&'a ScalePublic<F>),
}

impl<F: Form> Truncating<'_, F> {
    /// What it shifts out.
    pub fn shift(&self) -> F::Shift {
        match self {
            Truncating::Linear(linear) => linear.shift,
            Truncating::Product(product) => product.shift,
            Truncating::ScalePublic(public) => public.shift,
        }
    }
}

impl<F: Form> Operation<F> {
    /// The operation, if it is one that shifts bits out.
    pub fn truncating(&self) -> Option<Truncating<'_, F>> {
        match self {
            Operation::Linear(linear) => Some(Truncating::Linear(linear)),
            Operation::Product(product) => Some(Truncating::Product(product)),
            Operation::ScalePublic(public) => Some(Truncating::ScalePublic(public)),
            Operation::Compare(_)
            | Operation::Combine(_)
            | Operation::Widen
            | Operation::Activation(_)
            | Operation::MaxPool(_)
            | Operation::SumPool(_)
            | Operation::Add
            | Operation::Sub
            | Operation::Movement(_) => None,
        }
    }

    /// Multiplications of two numbers of a ring that one evaluation takes.
    pub fn macs(&self) -> u64 {
        match self.truncating() {
            Some(Truncating::Linear(linear)) => {
                linear.terms.iter().fold(0, |sum: u64, term| sum.saturating_add(term.map.macs()))
            }
            Some(Truncating::Product(product)) => product.map.macs(),
            Some(Truncating::ScalePublic(_)) | None => 0,
        }
    }

    fn named(&self) -> &dyn Named {
        described!(self)
    }

    /// The operation's name in reports.
    pub fn name(&self) -> &'static str {
        self.named().name()
    }

    /// What the bounds of the operands, in units, say of the result's, in units of 2^−scale.
    pub fn reach(&self, operands: &[Bounds], scale: u32) -> Reach {
        self.named().reach(operands, scale)
    }
}

impl Operation {
    /// What must hold for it.
    pub fn rules(&self) -> &dyn Rules {
        described!(self)
    }

    /// Bits that its comparisons look at; none where it compares nothing.
    pub fn compare_bits(&self) -> Option<u32> {
        compared!(self, compare_bits).copied()
    }

    /// The lowest of them, which its comparisons do not look at; none where it compares nothing.
    pub fn skipped(&self) -> Option<u32> {
        compared!(self, skipped).copied()
    }

    /// Gives a comparison the bits that it looks at; operations that compare nothing stay as they
    /// are.
    pub fn set_compare_bits(&mut self, bits: u32) {
        if let Some(compared) = compared!(self, compare_bits) {
            *compared = bits;
        }
    }
}
