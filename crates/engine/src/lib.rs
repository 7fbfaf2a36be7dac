//! Runs a [`cryptflow_program::Program`] over any [`cryptflow_mpc::Protocol`], once for each party,
//! and says beforehand what that will cost. It knows neither TensorFlow nor sockets.

mod beside;
mod beyond;
mod error;
mod estimate;
mod execute;
mod inputs;
mod threads;
mod timeline;
mod truncations;

pub use beyond::Beyond;
pub use error::EngineError;
pub use estimate::{Estimate, estimate, price_of_a_bit};
pub use execute::{execute, execute_checked};
pub use inputs::{input_bounds, input_check, masked_anew};
pub use threads::{devote_process, is_worth_threads, worth_threads};
pub use timeline::{Observer, Silent, StepRecord, Timeline};
pub use truncations::truncations;
