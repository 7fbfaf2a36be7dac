//! What can go wrong while a program runs.

/// Why a program did not run to its end. Names the step, never a value.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// An operation failed.
    #[error("step {number} of {steps}, {operation} {name:?}: {source}")]
    Step {
        /// Which step, from 1.
        number: usize,
        /// How many there are.
        steps: usize,
        /// What it does.
        operation: &'static str,
        /// The node of the source model that it computes.
        name: String,
        /// Why it failed.
        source: cryptflow_mpc::Error,
    },
    /// The inputs are not within their bounds, or it was not found out.
    #[error(transparent)]
    Inputs(cryptflow_mpc::Error),
    /// Another number of inputs or weights than the program has.
    #[error("the program needs {needed} {what}, and {given} were given")]
    Operands {
        /// Inputs or weights.
        what: &'static str,
        /// How many the program has.
        needed: usize,
        /// How many were given.
        given: usize,
    },
    /// No step computes an output.
    #[error("no step computes the output {name:?}; compile the model again")]
    Output {
        /// The output.
        name: String,
    },
}
