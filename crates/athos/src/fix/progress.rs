//! What the compiler is doing, for people who wait.

use std::fmt;

/// What the compiler is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Running the float model on an example.
    Calibrating {
        /// Examples done.
        done: usize,
        /// Examples in all.
        total: usize,
    },
    /// A program was tried.
    Tried {
        /// Its scale.
        scale: u32,
        /// Its ring.
        ring_bits: u32,
        /// How it compares with the float model.
        outcome: String,
    },
    /// What keeps the numbers is known: the search goes on for what keeps the decisions alone.
    Relaxing,
    /// The last run, for the report.
    Measuring,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Progress::Calibrating { done, total } => {
                write!(f, "calibrating: example {} of {total}", done + 1)
            }
            Progress::Tried { scale, ring_bits, outcome } => {
                write!(f, "{scale} fractional bits, ring of {ring_bits} bits: {outcome}")
            }
            Progress::Relaxing => write!(f, "that keeps the numbers; what keeps the decisions:"),
            Progress::Measuring => write!(f, "measuring the error of every layer"),
        }
    }
}
