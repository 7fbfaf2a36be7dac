//! The operations of a Program. Every protocol implements each of them, or refuses it when compiling.

use cryptflow_ring::{LinearMap, Movement, Window};
use serde::{Deserialize, Serialize};

use crate::program::WeightId;

/// A non-linear function that is applied element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), limit)`, the limit in units of the value's scale (ReLU6: `6 << scale`).
    ClippedRelu {
        /// Upper limit, as a fixed-point number; positive.
        limit: u64,
    },
}

/// One term `map(x, w)` of a linear operation: which of the step's inputs, which weight, which map.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinearTerm {
    /// Index into the step's inputs.
    pub input: usize,
    /// The weight.
    pub weight: WeightId,
    /// The bilinear map; its output length is the step's.
    pub map: LinearMap,
}

/// An operation on secret values.
///
/// *Wide* values live in Z_2^K, K = [`crate::Program::ring_bits`]; a truncation leaves a *narrow* value, in a ring
/// that is smaller by the bits shifted out (and one more, in Mirror). Linear maps, [`Operation::Product`],
/// [`Operation::ScalePublic`] and [`Operation::SumPool`] need wide inputs; [`Operation::Widen`] and a widening activation make them. Protocols with
/// one ring treat `Widen` as the identity, at no cost.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "op")]
pub enum Operation {
    /// `(Σ map(x, w) + bias) / 2^shift`, rounded. Bias: one element for each element of the last axis, at the scale of
    /// the products. Wide inputs, narrow output.
    Linear {
        /// The terms, all of the same output shape. None: the result is the bias alone, a secret constant along one axis.
        terms: Vec<LinearTerm>,
        /// The bias.
        bias: Option<WeightId>,
        /// Bits to shift out.
        shift: u32,
    },
    /// `map(x, y) / 2^shift`, rounded, of two secret values. Wide inputs, narrow output.
    Product {
        /// The map; `y` takes the place of the weights.
        map: LinearMap,
        /// Bits to shift out.
        shift: u32,
    },
    /// For each public threshold t, one after another along a new first axis, 1 where `x >= t` and 0 elsewhere: integers, whose
    /// scale is 0. Exact where every x − t fits `compare_bits` signed bits. The result is wide.
    Compare {
        /// The thresholds, in units of the value's scale.
        thresholds: Vec<i64>,
        /// Bits that a comparison looks at.
        compare_bits: u32,
    },
    /// Combinations with public integers along the first axis: `[c, …]` becomes `[r, …]`, row i being
    /// `Σ_j factors[i·c + j] · x_j + offsets[i]`. Nothing is rounded, and no protocol sends anything for it. In the input's ring. Where
    /// c or r is 1, that axis may be missing. The result has the scale that the factors bring with them.
    Combine {
        /// r rows of c factors.
        factors: Vec<i64>,
        /// r offsets, in units of the result's scale.
        offsets: Vec<i64>,
    },
    /// Narrow to wide; the value is unchanged. Exact for |x| <= 2^(k-2), k the bits of the narrow ring.
    Widen,
    /// An activation. Exact where −2^(c−1) <= x < 2^(c−1) (for clipped ReLU also for x − limit), c = `compare_bits`.
    Activation {
        /// Which one.
        function: Activation,
        /// Bits that the comparison looks at.
        compare_bits: u32,
        /// Whether the result is wide.
        widen: bool,
    },
    /// Maximum over windows of NHWC; padding never wins. Exact where every difference of two elements of a
    /// window fits `compare_bits` signed bits. The result is in the input's ring.
    MaxPool {
        /// Shape of the input, NHWC.
        input: [usize; 4],
        /// The window.
        window: Window,
        /// Bits that a comparison looks at.
        compare_bits: u32,
    },
    /// Sum over windows of NHWC (padding counts as zero), without division: the factor is folded into the next weights or
    /// follows as [`Operation::ScalePublic`].
    SumPool {
        /// Shape of the input, NHWC.
        input: [usize; 4],
        /// The window.
        window: Window,
    },
    /// `x * factor / 2^shift`, rounded, for public factors. Wide input, narrow output.
    ScalePublic {
        /// One factor, or as many as the last axes of `x` have elements (repeated along the leading axes).
        factors: Vec<u64>,
        /// Bits to shift out.
        shift: u32,
    },
    /// `x + y`, same shapes and scales.
    Add,
    /// `x − y`, same shapes and scales.
    Sub,
    /// A movement of elements.
    Movement(Movement),
}

impl Operation {
    /// The operation's name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Linear { terms, .. } => match terms.first().map(|t| &t.map) {
                Some(LinearMap::Conv2d(c)) if c.groups > 1 && c.groups == c.in_channels => "depthwise conv",
                Some(LinearMap::Conv2d(_)) => "conv",
                Some(LinearMap::Scale { .. }) => "scale",
                Some(_) => "matmul",
                None => "constant",
            },
            Operation::Product { map: LinearMap::Scale { .. }, .. } => "product",
            Operation::Product { .. } => "matrix product of secrets",
            Operation::Compare { .. } => "compare",
            Operation::Combine { .. } => "combine",
            Operation::Widen => "widen",
            Operation::Activation { function: Activation::Relu, .. } => "relu",
            Operation::Activation { function: Activation::ClippedRelu { .. }, .. } => "clipped relu",
            Operation::MaxPool { .. } => "max pool",
            Operation::SumPool { .. } => "sum pool",
            Operation::ScalePublic { .. } => "scale public",
            Operation::Add => "add",
            Operation::Sub => "sub",
            Operation::Movement(m) => match m {
                Movement::Reshape { .. } => "reshape",
                Movement::Transpose { .. } => "transpose",
                Movement::Pad { .. } => "pad",
                Movement::Slice { .. } => "slice",
                Movement::Concat { .. } => "concat",
                Movement::Broadcast { .. } => "broadcast",
                Movement::Gather { .. } => "gather",
            },
        }
    }
}
