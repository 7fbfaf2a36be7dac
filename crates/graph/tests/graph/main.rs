//! The graph from outside: its operations against their definitions, its order, its evaluation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod float;
mod functions;
mod gradient;
mod operations;
mod order;
mod products;
