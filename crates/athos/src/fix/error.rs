//! Why a graph did not become a program.

use cryptflow_graph::float::FloatError;
use cryptflow_graph::{OpError, Range};
use cryptflow_import::Explanation;
use cryptflow_program::Invalid;
use cryptflow_ring::GeometryError;

use super::runner::RunError;
use crate::functions::{MOST_PIECES, Undefined};

/// A node that cannot be computed, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsupported {
    /// Name in the source model.
    pub name: String,
    /// The operation.
    pub operation: String,
    /// Why not.
    pub reason: Refusal,
}

/// Why a node cannot be computed: as variants what a caller may tell apart, as texts what people
/// read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It has no elements.
    #[error("its shape {0:?} has no elements: there is nothing to compute")]
    Empty(Vec<usize>),
    /// No steps of a program are known for it in this form.
    #[error("{}", .0.reason)]
    Missing(Explanation),
    /// An operand that must be known when compiling, and is not.
    #[error("{0}")]
    NotConstant(&'static str),
    /// A constant that fixed point cannot hold, or that cannot be divided by.
    #[error("{}", .0.reason)]
    Constant(Explanation),
    /// A function whose operand has too wide a range.
    #[error(
        "for operands from {:.3e} to {:.3e} {function} takes more than {MOST_PIECES} pieces",
        .operand.low, .operand.high
    )]
    TooWide {
        /// The function.
        function: &'static str,
        /// The operands that it is to be made for.
        operand: Range,
        /// Whether these follow from calibration data, not from worst cases.
        calibrated: bool,
    },
    /// A function that is not defined on what its operand takes.
    #[error(transparent)]
    Undefined(#[from] Undefined),
    /// A divisor that fixed point cannot tell from zero.
    #[error(
        "its operand is as small as {smallest:.1e} in the calibration data, where fixed point has steps of {unit:.1e}: \
         {function} of it means nothing"
    )]
    NextToZero {
        /// The function.
        function: &'static str,
        /// The smallest magnitude of the operand.
        smallest: f64,
        /// The distance of two numbers.
        unit: f64,
    },
    /// A function that grows beyond all numbers.
    #[error("{function} is not finite from {:.4} to {:.4}", .operand.low, .operand.high)]
    NotFinite {
        /// The function.
        function: &'static str,
        /// Operands for which it would be made.
        operand: Range,
    },
    /// Operands, shapes or attributes that do not go together: no importer makes such a node.
    #[error("{0}")]
    Malformed(String),
    /// The same, as the graph's own rules have it.
    #[error(transparent)]
    Operation(#[from] OpError),
    /// The same, as the rules of windows and movements have it.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
}

impl Refusal {
    /// What to do, where there is something.
    pub fn advice(&self) -> Option<&str> {
        match self {
            Refusal::Missing(said) | Refusal::Constant(said) => said.advice.as_deref(),
            Refusal::TooWide { calibrated: true, .. } => Some(
                "Clip the operand in the model where it matters (a larger epsilon, if it comes close to zero), leave rows out \
                 that lead there, or make do with a smaller --margin",
            ),
            Refusal::TooWide { calibrated: false, .. } => {
                Some("Bounds are worst cases: calibration data (--calibrate) give smaller ones")
            }
            Refusal::NextToZero { .. } => Some(
                "Clip the operand in the model where it matters (a larger epsilon), or leave such rows out",
            ),
            Refusal::Undefined(Undefined::Outside { .. }) => Some(
                "Where the model means other values, calibrate with rows that it is meant for, or clip the operand",
            ),
            Refusal::Undefined(Undefined::Nothing(_))
            | Refusal::Empty(_)
            | Refusal::NotConstant(_)
            | Refusal::NotFinite { .. }
            | Refusal::Malformed(_)
            | Refusal::Operation(_)
            | Refusal::Geometry(_) => None,
        }
    }

    /// The variant, as files name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Refusal::Empty(_) => "empty",
            Refusal::Missing(_) => "missing",
            Refusal::NotConstant(_) => "not_constant",
            Refusal::Constant(_) => "constant",
            Refusal::TooWide { .. } => "too_wide",
            Refusal::Undefined(_) => "undefined",
            Refusal::NextToZero { .. } => "next_to_zero",
            Refusal::NotFinite { .. } => "not_finite",
            Refusal::Malformed(_) => "malformed",
            Refusal::Operation(_) | Refusal::Geometry(_) => "rule",
        }
    }

    /// What is the matter, and what to do.
    pub fn said(&self) -> String {
        self.advice().map_or_else(|| self.to_string(), |advice| format!("{self}. {advice}"))
    }
}

/// Why a graph did not become a program.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FixError {
    /// Operations that cannot be computed: all of them.
    #[error("{} of the model's nodes cannot be compiled: {}", .0.len(), list(.0))]
    Unsupported(Vec<Unsupported>),
    /// An example that the float model cannot be run on.
    #[error("example {index} of the calibration data: {error}")]
    Example {
        /// Which one, from 0.
        index: usize,
        /// Why.
        error: ExampleError,
    },
    /// A value that the ring cannot hold.
    #[error("{}: {}", needs(.layer, *.needed, *.scale, *.there), advice(*.needed, *.already))]
    DoesNotFit {
        /// The layer.
        layer: String,
        /// K that it needs.
        needed: u32,
        /// K.
        there: u32,
        /// Fractional bits.
        scale: u32,
        /// What is not to be advised.
        already: Already,
    },
    /// No scale makes the fixed-point run agree with the float run.
    #[error(
        "no scale makes fixed point agree with the float model. At {scale} fractional bits, {}the largest error of {place} is {error:.3e} where {tolerance:.3e} is wanted.{}{} If \
         that is good enough, say so with --tolerance, or choose a scale with --scale",
        if *.rows > 0 { format!("{} of {} arg-max differ and ", .flips, .rows) } else { String::new() },
        .coarsest.as_ref().map_or(String::new(), |c| format!(" {c}.")),
        .misfit.as_ref().map_or(String::new(), |m| format!(" With more bits, {}{}.", m.fact(), m.room()))
    )]
    NoScale {
        /// The largest scale that was tried and fits.
        scale: u32,
        /// Rows with another arg-max there.
        flips: usize,
        /// Rows that were compared.
        rows: usize,
        /// The largest error of an output.
        error: f64,
        /// The error that is allowed.
        tolerance: f64,
        /// The output and the column where it is.
        place: String,
        /// Where most of it comes from, if that is known.
        coarsest: Option<Box<Coarsest>>,
        /// What stands in the way of a larger scale.
        misfit: Option<Box<FixError>>,
    },
    /// Running the program failed.
    #[error("the fixed-point run failed: {0}")]
    Run(#[from] RunError),
    /// Running the float model beside the program failed.
    #[error("the float model's run failed: {0}")]
    Float(#[from] FloatError),
    /// The program contradicts its own rules: a defect of the compiler.
    #[error("the compiler made a program that breaks its own rules; please report this: {0}")]
    Internal(#[from] Defect),
}

/// What was given or tried before a program did not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Already {
    /// Bounds are those of examples.
    pub calibrated: bool,
    /// Smaller scales were tried.
    pub smaller_scales: bool,
}

impl FixError {
    /// The same error, whose advice is not of what was done already.
    pub(crate) fn after(mut self, done: Already) -> FixError {
        if let FixError::DoesNotFit { already, .. } = &mut self {
            *already = done;
        }
        self
    }

    /// What makes room for what does not fit, if anything does.
    fn room(&self) -> &'static str {
        match self {
            FixError::DoesNotFit { needed, .. } if *needed <= 64 => ", which a larger --ring has",
            _ => "",
        }
    }

    /// What is wrong, without what to do.
    pub(crate) fn fact(&self) -> String {
        match self {
            FixError::DoesNotFit { layer, needed, there, scale, .. } => needs(layer, *needed, *scale, *there),
            // The others do not part the two.
            other => other.to_string(),
        }
    }
}

/// The node whose rounding adds most to the errors of the outputs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "Most of it comes from the node {name:?} ({operation}): its values go from {:.3e} to {:.3e}, with {bits} fractional \
     bits, and outputs depend steeply on them; a model that clips or rescales what comes before it needs fewer",
    .range.low, .range.high
)]
pub struct Coarsest {
    /// Its name in the source model.
    pub name: String,
    /// The operation.
    pub operation: String,
    /// What its values were seen to be.
    pub range: Range,
    /// The fractional bits that they have.
    pub bits: u32,
}

/// How the compiler contradicts itself.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Defect {
    /// An output that movements alone do not lead to from a node.
    #[error("an output is the value of no node")]
    NoOrigin,
    /// An output of which calibration kept nothing.
    #[error("an output has no float value to compare with")]
    NoFloatValue,
    /// A search without a single trial.
    #[error("no scale was tried")]
    NoTrial,
    /// An opened value that cannot be moved.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// An answer that cannot be computed.
    #[error(transparent)]
    Operation(#[from] OpError),
    /// A program that is refused.
    #[error(transparent)]
    Program(#[from] Invalid),
}

/// Why an example says nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExampleError {
    /// The float model cannot be run on it.
    #[error(transparent)]
    Float(#[from] FloatError),
    /// A node leaves the numbers.
    #[error("node {0} gives numbers that are infinite or undefined")]
    NotFinite(String),
}

fn list(nodes: &[Unsupported]) -> String {
    let all: Vec<String> =
        nodes.iter().map(|n| format!("{} ({}): {}", n.name, n.operation, n.reason.said())).collect();
    all.join("; ")
}

fn needs(layer: &str, needed: u32, scale: u32, there: u32) -> String {
    format!("layer {layer} needs a ring of {needed} bits at {scale} fractional bits, and there are {there}")
}

fn advice(needed: u32, already: Already) -> String {
    let scale = if already.smaller_scales { "" } else { "--scale or " };
    if needed <= 64 {
        let scale = if already.smaller_scales { "" } else { ", or a smaller --scale" };
        return format!("compile with a larger --ring{scale}");
    }
    let data = if already.calibrated {
        "; are the calibration data prepared as the model was trained?"
    } else {
        "; bounds by --range are far wider than those of calibration data"
    };
    format!(
        "no ring has so many. A smaller {scale}--margin needs fewer, and so does a model that clips or rescales what \
         comes before{data}"
    )
}
