//! Arrays as files hold them: how elements lie in bytes ([`encoding`]), and NumPy's files ([`npy`]).
//!
//! It knows neither models nor programs.

pub mod encoding;
pub mod npy;

pub use encoding::{Encoding, Numbers, bfloat, half};
