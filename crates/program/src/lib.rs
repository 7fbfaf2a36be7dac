//! The compiled form of a model: fixed-point operations in the order in which they run, with shapes, scales and
//! bounds, and the file that holds it. It knows neither TensorFlow nor parties.

pub mod operation;
pub mod program;

pub use operation::{Activation, Operation};
pub use program::{
    Input, Output, OutputTransform, Preprocessing, Program, Step, Value, ValueId, Weight, WeightId,
};
