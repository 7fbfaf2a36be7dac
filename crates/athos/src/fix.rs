//! The fixed-point step: from the graph in floats to a program in integers, in stages. Each is a
//! type that is made of the one before, and knows nothing of those behind it.
//!
//! | stage | what it has | made by |
//! |---|---|---|
//! | `Bounded` | a range for every value of the graph | running examples (`calibrate`), or worst cases (`interval`) |
//! | `Plan` | the program in real numbers | lowering node by node (`lower`), placing what widens (`schedule`) |
//! | `Chosen` | scale, ring, bounds, and the bits that are shifted out | a search (`search`) over trials: programs that are run, and compared with the float model |
//! | `Quantised` | the program in integers, and its weights | writing down what was chosen |
//! | [`report::CompileReport`] | what was decided and measured | running the program beside the float model |
//!
//! Nothing here knows a protocol; programs are run by a [`FixedRunner`] that the caller brings.

mod counted;
mod decides;
mod error;
pub(crate) mod options;
pub(crate) mod progress;
mod runner;
pub(crate) mod units;
mod whole;

pub(crate) mod bounded;
pub(crate) mod chosen;
mod interval;
pub(crate) mod planned;
pub(crate) mod quantised;
pub mod report;

pub use counted::counted;
pub(crate) use decides::decides;
pub use error::{Already, Coarsest, Defect, ExampleError, FixError, Refusal, Unsupported};
pub use runner::{FixedRunner, LoadedProgram, RunError};
