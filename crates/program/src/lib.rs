//! The compiled form of a model: fixed-point operations in the order in which they run, with
//! shapes, scales and bounds. Its file is the crate `model-file`'s. It knows neither TensorFlow nor parties.

mod checked;
mod demand;
mod digest;
mod given;
pub mod guard;
pub mod liveness;
pub mod program;
mod repeat;
mod validate;
mod whole_file;

pub use checked::Checked;
pub use cryptflow_operation::{
    Activation, Bounds, Combine, Compare, Linear, LinearTerm, MaxPool, Operation, Product, Rectifier,
    ScalePublic, SumPool, Truncating, WeightId, bits,
};
pub use demand::{Demand, MOST_AHEAD, MOST_BESIDE, PROCESS, demand};
pub use digest::{Digest, digest, digest_of_json, weights_digest};
pub use program::{
    Batch, ClassNames, Input, OLDEST, Output, OutputTransform, Preprocessing, Program, Step, VERSION, Value,
    ValueId, Weight,
};
pub use repeat::{NotRepeatable, Repeated, repeat};
pub use validate::{Invalid, validate};
pub use whole_file::{check_writable, write_secret, write_whole};
