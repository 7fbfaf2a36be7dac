//! How the numbers of an operation are written: as integers in a program, as reals in a plan.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

/// Index of a weight of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WeightId(pub usize);

/// A way to write the numbers of an operation. A program has [`Integers`]; a compiler that has not
/// chosen scales yet plans the same operations over reals, with nothing where a number is not
/// decided.
pub trait Form: Clone + Debug + PartialEq + 'static {
    /// What names a weight.
    type Weight: Clone + Debug + PartialEq;
    /// What names, or is, a bias.
    type Bias: Clone + Debug + PartialEq;
    /// A public factor.
    type Factor: Clone + Debug + PartialEq;
    /// The limit of a clipped ReLU.
    type Limit: Copy + Debug + PartialEq;
    /// Bits that a truncation shifts out.
    type Shift: Copy + Debug + PartialEq;
    /// Bits that a comparison looks at.
    type CompareBits: Copy + Debug + PartialEq;
    /// The lowest bits of a difference that a comparison does not look at.
    type Skipped: Copy + Debug + PartialEq + Default;
    /// Whether a step also brings its result into the large ring.
    type Widens: Copy + Debug + PartialEq;

    /// A limit in units of 2^−scale, at least one.
    fn limit_units(limit: Self::Limit, scale: u32) -> u64;

    /// Whether a comparison is one that looks at everything, which is not written down.
    fn looks_at_all(skipped: &Self::Skipped) -> bool {
        *skipped == Self::Skipped::default()
    }
}

/// Fixed point: what a program holds, and what its file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Integers;

impl Form for Integers {
    type Weight = WeightId;
    type Bias = WeightId;
    type Factor = u64;
    type Limit = u64;
    type Shift = u32;
    type CompareBits = u32;
    type Skipped = u32;
    type Widens = bool;

    fn limit_units(limit: u64, _scale: u32) -> u64 {
        limit
    }
}
