//! Programs over the reference and over protocols, and what parties see of them: one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod beyond;
mod build;
mod coupling;
#[path = "../../../mirror/tests/subject.rs"]
mod mirror;
mod net;
#[path = "../../../porthos/tests/subject.rs"]
mod porthos;
mod programs;
mod secrecy;
