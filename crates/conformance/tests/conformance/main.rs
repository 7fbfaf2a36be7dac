//! The suites themselves: one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod insecure_two_parties;
mod planted;
mod watched;
