//! Programs over the reference and over protocols, and what parties see of them: one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod beside;
mod beyond;
mod build;
#[path = "../../../mirror/tests/subject.rs"]
mod mirror;
mod net;
#[path = "../../../porthos/tests/subject.rs"]
#[allow(dead_code, reason = "the engine runs one of the two truncations")]
mod porthos;
mod programs;
mod repeat;
mod secrecy;
