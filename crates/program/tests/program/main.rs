//! The compiled form, from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod given;
mod sample;
mod validate;
mod whole_file;
