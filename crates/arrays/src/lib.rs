//! Arrays as files hold them: how elements lie in bytes.
//!
//! It knows neither models nor programs.

pub mod encoding;

pub use encoding::{Elements, Encoding, bfloat, half};
