//! Why a graph did not become a program.

use cryptflow_graph::float::FloatError;

use super::runner::RunError;

/// A node that cannot be computed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Name in the source model.
    pub name: String,
    /// The operation.
    pub operation: String,
    /// Why not.
    pub reason: String,
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
    #[error(
        "layer {layer} needs a ring of {needed} bits at {scale} fractional bits, and there are {there}: {}",
        advice(*.needed)
    )]
    DoesNotFit {
        /// The layer.
        layer: String,
        /// K that it needs.
        needed: u32,
        /// K.
        there: u32,
        /// Fractional bits.
        scale: u32,
    },
    /// No scale makes the fixed-point run agree with the float run.
    #[error(
        "no scale makes fixed point agree with the float model. At {scale} fractional bits, {flips} of {rows} \
         arg-max differ and the largest error of an output is {error:.3e} where {tolerance:.3e} is allowed.{} If \
         that is good enough, choose it with --scale",
        .misfit.as_ref().map_or(String::new(), |m| format!(" With more, {m}."))
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
    Internal(String),
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
        nodes.iter().map(|n| format!("{} ({}): {}", n.name, n.operation, n.reason)).collect();
    all.join("; ")
}

fn advice(needed: u32) -> &'static str {
    if needed <= 64 {
        "compile with a larger --ring, or a smaller --scale"
    } else {
        "no ring has so many; compile with calibration data (its bounds are far tighter than worst cases), a smaller \
         --scale or a smaller --margin"
    }
}
