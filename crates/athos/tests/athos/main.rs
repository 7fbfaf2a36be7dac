//! The compiler from outside: its passes, functions and conditions, what it makes of small graphs and of networks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answer;
mod conditions;
mod fix;
mod functions;
mod networks;
mod passes;
mod rows;
