//! The operations of a secure program, each described once: what it computes, and everything that
//! is true of it without a protocol.
//!
//! [`Operation`] is the one enum; each family has a file that holds its attributes and its
//! [`Rules`]: the operands that it takes, and the shape, scale, width, ring and bounds of its
//! result. The compiler plans with these rules, files are judged by them, and protocols are given
//! the same enum. To add an operation: its variant, its file, and a line in
//! [`Operation::rules`]; the compiler then names every place that must know of it.

mod activation;
pub mod bits;
mod combine;
mod compare;
mod form;
mod linear;
mod operation;
mod placement;
mod pool;
mod product;
mod rules;
mod scale_public;

pub use activation::{Activation, Rectifier};
pub use bits::Looks;
pub use combine::Combine;
pub use compare::Compare;
pub use form::{Form, Integers, WeightId};
pub use linear::{Linear, LinearTerm};
pub use operation::{Operation, Truncating};
pub use placement::{Addition, Subtraction, Widening};
pub use pool::{MaxPool, SumPool};
pub use product::Product;
pub use rules::{Bounds, Misfit, Reach, Rule, Rules, Site, Tensor, WeightTensor};
pub use scale_public::ScalePublic;
