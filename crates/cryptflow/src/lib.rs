//! CrypTFlow: private inference of TensorFlow models between three parties. The library behind the
//! command.

pub mod attest;
pub mod batches;
pub mod clear_runner;
pub mod client;
pub mod compare;
pub mod compile_report;
pub mod error;
pub mod examples;
pub mod first_beyond;
pub mod fixed;
pub mod input;
pub mod labels;
pub mod local;
pub mod notation;
pub mod operations;
pub mod output;
pub mod remote;
pub mod report;
pub mod results;

pub use error::Error;
