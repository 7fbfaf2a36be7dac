//! Arrays in files, from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod csv;
mod encoding;
mod npy;
