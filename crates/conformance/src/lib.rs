//! The suites that every protocol passes, for tests alone: nothing that runs for users depends on
//! this crate.
//!
//! * [`suite`]: one table of problems; values, bytes and rounds of each operation.
//! * [`secrecy`]: no pad twice, uniform messages, lengths that depend on no secret; and planted
//!   faults that must be found.

pub mod secrecy;
pub mod suite;
