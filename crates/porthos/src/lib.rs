//! Porthos, the three-party protocol of CrypTFlow (IEEE S&P 2020), which builds on SecureNN (PoPETs
//! 2019).
//!
//! P0 and P1 hold additive shares over Z_2^64, P2 helps. Semi-honest, at most one party corrupted.
//! One file holds one step of the paper: [`triples`] (products of secrets), [`truncation`],
//! [`share_convert`], [`private_compare`], [`msb`], [`relu`], [`max_pool`].
//!
//! A sharing that P2 deals costs one element and not two: the other half comes from a key that P2
//! has with one of the evaluators. Half of a block's elements go to P0 and half to P1, so that both
//! of P2's links carry the same.
//!
//! What differs from the published code, at the same number of bytes:
//! * Z_127 in place of the paper's Z_67: the published code does so too, an element is one byte
//!   either way, and reduction is cheap.
//! * Every key is fresh and pairwise, no stream serves twice, and what P2 sees of a comparison is
//!   re-randomised: P2 knows the shares of the bits that it dealt, and would learn of the secret
//!   threshold from products of them.
//! * A maximum is a tournament, and not a chain: as many comparisons, fewer rounds.
//! * An output is re-randomised before the client sees it.
//!
//! Truncation is local, as published: it fails with probability |z| / 2^64 for each element, and
//! then by 2^(64 − shift).

#[macro_use]
mod planted;

mod compare;
pub mod cost;
mod definition;
pub mod max_pool;
pub mod msb;
mod odd;
mod porthos;
pub mod private_compare;
pub mod relu;
mod session;
pub mod share;
pub mod share_convert;
#[cfg(test)]
#[path = "../tests/mod.rs"]
mod tests;
pub mod triples;
pub mod truncation;
mod tuning;
mod within;

pub use cost::PorthosCosts;
pub use definition::{PorthosDefinition, PorthosExactDefinition};
pub use porthos::Porthos;
pub use share::{PorthosOwner, Share};
pub use truncation::Truncation;
pub use tuning::Tuning;

// Tests that other crates share say the crate's name.
#[cfg(test)]
extern crate self as cryptflow_porthos;
