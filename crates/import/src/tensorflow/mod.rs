//! The importer of TensorFlow's frozen graphs, and of graphs that have been made like them.

pub(crate) mod control;
mod decode;
mod functions;
mod graph_def;
pub mod messages;
mod nodes;
mod tensor;

pub use graph_def::import;
pub(super) use graph_def::{import_def, survey, survey_def};
pub(super) use nodes::{Origin, rows};
