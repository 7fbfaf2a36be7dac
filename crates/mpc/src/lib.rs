//! What a protocol between parties is to the rest of the project: the [`Protocol`] trait, the declared [`Cost`] of each
//! operation, the plaintext reference [`clear::Clear`], and the conformance suite that every protocol runs.

pub mod clear;
pub mod combine;
pub mod conformance;
pub mod cost;
pub mod keys;
mod party;
pub mod protocol;
pub mod secrecy;
mod traffic;

pub use clear::{Clear, ClearValue};
pub use cost::{Cost, CostModel, Layout};
pub use party::Party;
pub use protocol::{Error, Owner, Protocol, Term};
pub use traffic::Traffic;
