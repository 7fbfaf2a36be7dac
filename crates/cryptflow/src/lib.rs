//! CrypTFlow: private inference of TensorFlow models between three parties. The library behind the command.

pub mod error;

pub use error::Error;
