//! Pictures: decoding PNG and JPEG, and the way from pixels to a row of a model's input.
//!
//! It knows of models what [`cryptflow_program::Preprocessing`] says.

mod decode;
mod preprocess;

pub use decode::{DecodeError, decode};
pub use preprocess::{Picture, PreprocessError, SettingsError, apply, changes_size, check};
