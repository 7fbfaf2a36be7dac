//! CrypTFlow: private inference of TensorFlow models between three parties. The library behind the
//! command.

pub mod ahead;
pub mod attest;
pub mod batches;
pub mod check_report;
pub mod clear_runner;
pub mod client;
pub mod command_line;
mod commands;
pub mod compare;
pub mod compile_report;
pub mod compiling;
pub mod dealt;
pub mod deployed;
pub mod deploying;
pub mod doctor;
pub mod error;
pub mod examples;
pub mod first_beyond;
pub mod fixed;
pub mod forecast;
pub mod input;
pub mod job;
pub mod labels;
pub mod lanes;
pub mod listing;
pub mod local;
mod mixed;
pub mod model_file;
pub mod notation;
pub mod operations;
pub mod output;
pub mod patience;
pub mod profile;
pub mod refusals;
pub mod remote;
pub mod report;
pub mod results;
pub mod running;
pub mod serving;
pub mod site_file;
pub mod standing;
pub mod usable;

pub use error::Error;
