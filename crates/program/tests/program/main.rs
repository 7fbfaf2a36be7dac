//! The compiled form and its file, from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod file;
mod given;
mod sample;
mod validate;
mod whole_file;
