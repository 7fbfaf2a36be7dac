//! Three organisations and a client, as real processes over TLS: with parties that follow the
//! protocol, that fail, and that cheat.
#![cfg(unix)]
#![allow(unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/process.rs"]
mod process;
#[path = "../common/several.rs"]
mod several;

mod acts;
mod admission;
mod ahead;
mod attacks;
mod attested;
mod cluster;
mod doctor;
mod editions;
mod faults;
mod fork;
mod frames;
mod gateway;
mod hostile;
mod keys;
mod killing;
mod lanes;
mod liar;
mod lying;
mod models;
mod namespaces;
mod operators;
mod owner;
mod page;
mod panics;
mod plain;
mod played;
mod processes;
mod prometheus;
mod relay;
mod sites;
mod soak;
mod watch;
mod words;
