//! Arrays as files hold them: how elements lie in bytes ([`encoding`]), NumPy's files ([`npy`]), and tables as text ([`csv`]).
//!
//! It knows neither models nor programs.

pub mod csv;
pub mod encoding;
pub mod npy;

pub use encoding::{Encoding, Numbers, bfloat, half};
