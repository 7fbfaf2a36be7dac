//! The plaintext reference, and what costs are made of: one binary.
#![allow(clippy::unwrap_used)]

mod clear;
mod keys;
mod traffic;
