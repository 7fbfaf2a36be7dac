//! What a party keeps and says, and its binary: one binary of tests. Sessions are tested with the
//! command, which runs the same service.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod binary;
mod code;
mod commitments;
mod deployment;
mod doors;
mod editions;
mod lanes;
mod limits;
mod messages;
mod numbers;
mod seats;
mod standing;
mod statement;
mod store;
