//! CrypTFlow: private inference of TensorFlow models between three parties. The library behind the command.

pub mod error;
pub mod input;
pub mod labels;
pub mod npy;
pub mod output;
pub mod preprocess;

pub use error::Error;
