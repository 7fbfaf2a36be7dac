//! Athos: from an imported graph to a fixed-point [`cryptflow_program::Program`].
//!
//! ```text
//! import ──▶ Graph (float) ──passes──▶ Graph (fewer, cheaper nodes) ──fix──▶ Program + weights
//! ```
//! It knows neither protocols nor sockets.

mod answer;
pub mod check;
pub mod compile;
mod conditions;
pub mod fix;
pub mod functions;
pub mod passes;
pub mod rows;

pub use answer::{Meaning, answer, decoded, numbers};
pub use functions::MOST_PIECES;
