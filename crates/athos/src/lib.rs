//! Athos: from a TensorFlow inference graph to a fixed-point [`cryptflow_program::Program`].
//!
//! ```text
//! import ──▶ Graph (float) ──passes──▶ Graph (fewer, cheaper nodes) ──fix──▶ Program + weights
//! ```
//! It knows neither protocols nor sockets.

pub mod check;
pub mod compile;
mod conditions;
pub mod docs;
pub mod fix;
pub mod float;
pub(crate) mod functions;
pub mod graph;
pub mod import;
pub mod operations;
pub mod passes;

pub use graph::{Array, Comparison, Function, Graph, Node, NodeId, Op};
pub use operations::OpError;
