//! The importer of TensorFlow's frozen graphs.

mod decode;
mod graph_def;
pub mod messages;
mod nodes;
mod tensor;

pub use graph_def::import;
