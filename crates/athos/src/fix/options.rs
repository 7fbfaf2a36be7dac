//! What the user may choose.

use cryptflow_graph::{Array, Range};
use cryptflow_program::{Batch, Preprocessing};

/// Fractional bits of activations where there is nothing to search with.
pub const DEFAULT_SCALE: u32 = 12;

/// Bits of magnitude that a layer's largest weight gets, if the ring has headroom: all that 32 bits
/// in the file hold, which is more than a float has. It costs no traffic; on the contrary, what a
/// truncation shifts out, later messages need not carry.
pub(crate) const WEIGHT_BITS: u32 = 31;

/// Bits of magnitude that it must have where bounds are worst cases, which allow for this much
/// rounding and no more.
pub(crate) const WORST_CASE_WEIGHT_BITS: u32 = 15;

/// How to choose the number of fractional bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// The smallest one that agrees with the float model, see the search's rule in [`crate::fix`].
    #[default]
    Auto,
    /// This one.
    Bits(u32),
}

impl Scale {
    /// The scale that the compiler begins with.
    pub(crate) fn first(self) -> u32 {
        match self {
            Scale::Bits(bits) => bits,
            Scale::Auto => DEFAULT_SCALE,
        }
    }
}

/// How to choose K, the bits of the large ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// The smallest one up to 64 that the bounds allow and that agrees with the float model.
    Auto,
    /// This one.
    Bits(u32),
}

impl Ring {
    /// The ring that the compiler begins with.
    pub(crate) fn first(self) -> u32 {
        match self {
            Ring::Bits(bits) => bits,
            Ring::Auto => 64,
        }
    }
}

impl Default for Ring {
    fn default() -> Ring {
        Ring::Bits(64)
    }
}

/// What values may be.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Bounds {
    /// As in the examples, with a margin. Each example has one value for each input of the graph.
    Examples(Vec<Vec<Array>>),
    /// Whatever inputs in these ranges (one for each input) lead to.
    Ranges(Vec<Range>),
    /// Nothing is known.
    #[default]
    Unknown,
}

/// What the user may choose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompileOptions {
    /// Name of the model; the graph's, if there is none.
    pub name: Option<String>,
    /// Fractional bits.
    pub scale: Scale,
    /// Bits of the ring.
    pub ring: Ring,
    /// Bits by which bounds exceed the extremes of the examples: 1 by default, 2 where there are
    /// fewer than 32 examples.
    pub margin: Option<f64>,
    /// Bits of magnitude of a layer's largest weight at most, 7 to 31; all 31 by default. What is
    /// shifted out after a layer grows with them, and so does the probability that a local
    /// truncation fails (Porthos'): fewer are wanted there.
    pub weight_bits: Option<u32>,
    /// Whether the parties compute a softmax or an arg-max that ends the model, so that the client
    /// opens the answer and not what it is computed of.
    pub hide_logits: bool,
    /// What the first axis of the inputs is, see [`crate::rows`].
    pub batch: Batch,
    /// How raw data becomes the inputs, in order; missing ones are left as they are.
    pub preprocessing: Vec<Preprocessing>,
}

/// An option that makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OptionError {
    /// Fractional bits that no program can have.
    #[error("a scale of {0} fractional bits is outside of 1 to 30")]
    Scale(u32),
    /// A ring that is too small, or larger than a word.
    #[error("a ring of {0} bits is outside of 16 to 64")]
    Ring(u32),
    /// Weights that are too coarse, or do not fit the file.
    #[error("weights have 7 to {WEIGHT_BITS} bits of magnitude")]
    WeightBits(u32),
    /// A margin that is negative, or larger than any ring has headroom for.
    #[error("a margin of {0} bits is outside of 0 to 20")]
    Margin(f64),
    /// More or fewer ranges than inputs.
    #[error("{given} ranges were given for {inputs} inputs")]
    RangeCount {
        /// Ranges.
        given: usize,
        /// Inputs of the graph.
        inputs: usize,
    },
    /// A range whose ends are not finite, or in the wrong order.
    #[error("{} to {} is not a range of numbers", .0.low, .0.high)]
    NoRange(Range),
}

impl CompileOptions {
    /// Looks at every number.
    ///
    /// # Errors
    /// The first that is out of bounds.
    pub(crate) fn check(&self) -> Result<(), OptionError> {
        match (self.scale, self.ring, self.weight_bits, self.margin) {
            (Scale::Bits(bits), ..) if !(1..=30).contains(&bits) => Err(OptionError::Scale(bits)),
            (_, Ring::Bits(bits), ..) if !(16..=64).contains(&bits) => Err(OptionError::Ring(bits)),
            (_, _, Some(bits), _) if !(7..=WEIGHT_BITS).contains(&bits) => Err(OptionError::WeightBits(bits)),
            (.., Some(margin)) if !(0.0..=20.0).contains(&margin) => Err(OptionError::Margin(margin)),
            _ => Ok(()),
        }
    }
}
