//! The kernels against their definitions: one binary.
#![allow(clippy::unwrap_used)]

mod bilinear;
mod common;
mod kernels;
mod movement;
mod pool;
mod prf;
mod random;
mod small_field;
mod words;
