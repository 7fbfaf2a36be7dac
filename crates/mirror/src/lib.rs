//! Mirror: three-party inference with one ring product a party.
//!
//! P0 and P1 evaluate, P2 helps: it deals what does not depend on any input, and receives no
//! message once the keys are agreed. Semi-honest, at most one party corrupted.
//!
//! A value is *masked*, `x = m − r0 − r1` with m known to P0 and P1, r0 to P0 and P2, r1 to P1 and
//! P2; each party computes from it, alone, its element of the *mirrored* view `x − d`, `x + d`,
//! `d`, in which a product of secrets costs one product a party. One file holds one step: [`tree`]
//! and `circuit` the comparison's tree, `less_than`, `relu`, `lift`, `maximum`, `linear`,
//! `product`, `compare`, `within`, `ahead`.
//!
//! Credits: the sharing is Shamir's at −1, 1 and infinity, where Z_2^K lacks the points for an
//! exact one; Bloemen et al. (ePrint 2024/705) get one local product a party for packed inner
//! products; Abspoel et al. (TCC 2019), Araki et al. (CCS 2016), ASTRA, ABY2.0 and Trio are its
//! neighbours.

#[macro_use]
mod planted;

mod ahead;
mod choice;
mod circuit;
mod compare;
pub mod cost;
mod definition;
mod less_than;
mod lift;
mod linear;
mod maximum;
mod mirror;
mod product;
mod relu;
mod scratch;
mod session;
pub mod share;
#[cfg(test)]
#[path = "../tests/mod.rs"]
mod tests;
pub mod tree;
mod tuning;
mod within;

pub use cost::MirrorCosts;
pub use definition::MirrorDefinition;
pub use mirror::Mirror;
pub use share::{Masked, MirrorOwner, MirroredWeight};
pub use tuning::Tuning;

// Tests that other crates share say the crate's name.
#[cfg(test)]
extern crate self as cryptflow_mirror;
