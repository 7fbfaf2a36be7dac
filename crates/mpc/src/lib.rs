//! What a protocol between parties is to the rest of the project: the [`Protocol`] trait, the
//! declared [`Cost`] of each operation, and the plaintext reference [`clear::Clear`].

pub mod clear;
pub mod combine;
pub mod cost;
pub mod definition;
pub mod keys;
mod operands;
mod party;
pub mod protocol;
pub mod same;
pub mod stream;
mod traffic;
pub mod turn;

pub use clear::{Clear, ClearValue};
pub use cost::{Cost, CostModel, Layout, Place};
pub use definition::{Definition, Older};
pub use operands::{Operand, Operands, Term};
pub use party::Party;
pub use protocol::{Error, Owner, Protocol};
pub use traffic::Traffic;
