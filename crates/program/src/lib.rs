//! The compiled form of a model: fixed-point operations in the order in which they run, with shapes, scales and
//! bounds, and the file that holds it. It knows neither TensorFlow nor parties.

pub mod bounds;
mod digest;
pub mod file;
pub mod liveness;
pub mod operation;
pub mod program;
mod validate;
mod whole_file;

pub use digest::{Digest, digest, weights_digest};
pub use operation::{Activation, LinearTerm, Operation};
pub use program::{
    Input, Output, OutputTransform, Preprocessing, Program, Step, VERSION, Value, ValueId, Weight, WeightId,
};
pub use validate::{Invalid, validate};
pub use whole_file::write_whole;
