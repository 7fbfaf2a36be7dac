//! The graph that importers make and that Athos compiles: operations on floats, named as in the
//! source model, with static shapes; its rules and its evaluation.
//!
//! It knows neither files, nor fixed point, nor protocols.

pub mod float;
pub mod gradient;
mod graph;
pub mod operations;
mod range;
pub mod ranges;
pub mod unrolled;

pub use graph::{Array, ClassNames, Graph, Node, NodeId};
pub use operations::{
    Activation, Arithmetic, Comparison, Function, Linear, Op, OpError, Order, Pool, Pooling, Reduce,
    Reduction,
};
pub use range::Range;
