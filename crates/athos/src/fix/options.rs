//! What the user may choose.

use std::borrow::Cow;

use cryptflow_graph::{Array, Graph, NodeId, Range};
use cryptflow_program::{Batch, Preprocessing};

use super::chosen::SMALLEST_RING;

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
    /// The smallest one that agrees with the float model, see the search's rule in [`crate::fix`]:
    /// of the values that matter least; others have more.
    #[default]
    Auto,
    /// This one, for all values.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ring {
    /// The smallest one up to 64 that the bounds allow and that agrees with the float model.
    #[default]
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

/// What a program must keep of the float model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accuracy {
    /// The numbers of its outputs, to within the [`Tolerance`].
    #[default]
    Exact,
    /// Its decisions alone, where an output is a choice among classes: which one is the largest. Other
    /// outputs keep their numbers.
    Labels,
}

/// The part of what a column of an output spans over the examples that errors should stay below.
pub const DEFAULT_TOLERANCE: f64 = 1.0 / 2048.0;

/// The largest error of an output that is allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Tolerance {
    /// As a part of what each column of an output (its last axis) spans over the examples; for
    /// classes, [`DEFAULT_TOLERANCE`] means a 128th of the median margin between the best and the
    /// second, or half of the thinnest, and others that much more or less.
    pub share: f64,
    /// The error itself, for outputs by name.
    pub outputs: Vec<(String, f64)>,
}

impl Default for Tolerance {
    fn default() -> Tolerance {
        Tolerance { share: DEFAULT_TOLERANCE, outputs: Vec::new() }
    }
}

impl Tolerance {
    /// That of an output which has its own.
    pub(crate) fn named(&self, output: &str) -> Option<f64> {
        self.outputs.iter().rev().find(|(name, _)| name == output).map(|(_, error)| *error)
    }

    /// Whether it was asked for: then no more is taken.
    pub(crate) fn is_strict(&self) -> bool {
        *self != Tolerance::default()
    }

    /// How many times the default it is.
    pub(crate) fn beside_default(&self) -> f64 {
        self.share / DEFAULT_TOLERANCE
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
    /// What the program must keep of the float model.
    pub accuracy: Accuracy,
    /// How far outputs may be from those of the float model.
    pub tolerance: Tolerance,
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
    /// Whether the program says if any value of a run left its bounds, and gives nothing then.
    pub guard: bool,
    /// What the first axis of the inputs is, see [`crate::rows`].
    pub batch: Batch,
    /// What a round is worth on the network that the program is for, see [`cryptflow_program::Program::bits_per_round`].
    pub bits_per_round: Option<u64>,
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
    #[error("a ring of {0} bits is outside of {SMALLEST_RING} to 64")]
    Ring(u32),
    /// Weights that are too coarse, or do not fit the file.
    #[error("weights have 7 to {WEIGHT_BITS} bits of magnitude")]
    WeightBits(u32),
    /// A tolerance that is no positive number.
    #[error("a tolerance of {0} is not a positive number")]
    Tolerance(f64),
    /// A tolerance for an output that the model does not have.
    #[error("the model has no output {name:?} to have a tolerance; its outputs: {}", .outputs.join(", "))]
    NoOutput {
        /// The name that was given.
        name: String,
        /// Those that there are.
        outputs: Vec<String>,
    },
    /// Decisions alone, of a model that takes none.
    #[error(
        "only decisions are to be kept (--accuracy labels), and no output of the model is a choice among classes; its outputs: {}",
        .outputs.join(", ")
    )]
    NoDecisions {
        /// Its outputs.
        outputs: Vec<String>,
    },
    /// Decisions alone, with nothing to see them on.
    #[error(
        "only decisions are to be kept (--accuracy labels): give examples on which they are seen (--calibrate)"
    )]
    NoExamplesOfDecisions,
    /// Decisions alone, at a scale that is not to be searched for.
    #[error(
        "only decisions are to be kept (--accuracy labels), and how many bits that takes is found by the compiler: it \
         does not go together with --scale or --ring"
    )]
    FixedBitsOfDecisions,
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
    pub(crate) fn check(&self, graph: &Graph) -> Result<(), OptionError> {
        let unknown = |name: &&String| !graph.output_names.contains(name);
        if let Some(name) = self.tolerance.outputs.iter().map(|(name, _)| name).find(unknown) {
            return Err(OptionError::NoOutput { name: name.clone(), outputs: graph.output_names.clone() });
        }
        let tolerances = self.tolerance.outputs.iter().map(|(_, error)| *error).chain([self.tolerance.share]);
        if let Some(wrong) = tolerances.into_iter().find(|t| !(t.is_finite() && *t > 0.0)) {
            return Err(OptionError::Tolerance(wrong));
        }
        if self.accuracy == Accuracy::Labels && (self.scale, self.ring) != (Scale::Auto, Ring::Auto) {
            return Err(OptionError::FixedBitsOfDecisions);
        }
        match (self.scale, self.ring, self.weight_bits, self.margin) {
            (Scale::Bits(bits), ..) if !(1..=30).contains(&bits) => Err(OptionError::Scale(bits)),
            (_, Ring::Bits(bits), ..) if !(SMALLEST_RING..=64).contains(&bits) => {
                Err(OptionError::Ring(bits))
            }
            (_, _, Some(bits), _) if !(7..=WEIGHT_BITS).contains(&bits) => Err(OptionError::WeightBits(bits)),
            (.., Some(margin)) if !(0.0..=20.0).contains(&margin) => Err(OptionError::Margin(margin)),
            _ => Ok(()),
        }
    }

    /// The graph for what clients send, which preprocessing makes other numbers of than the model
    /// declares.
    pub(crate) fn as_given<'a>(&self, graph: &'a Graph) -> Cow<'a, Graph> {
        let changed = |id: &NodeId| {
            let index = graph.inputs.iter().position(|input| input == id);
            index.and_then(|i| self.preprocessing.get(i)).is_some_and(|p| *p != Preprocessing::default())
        };
        if !graph.integers.iter().any(changed) {
            return Cow::Borrowed(graph);
        }
        let mut other = graph.clone();
        other.integers.retain(|id| !changed(id));
        Cow::Owned(other)
    }
}
