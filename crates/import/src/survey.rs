//! What an importer says of every node of a model, whether or not it can be imported.

use std::path::Path;

use super::{ImportError, ImportOptions, NodeRefusal, Place, folder, onnx, saved_model, tensorflow};
use cryptflow_graph::Graph;

/// Who calls operations by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Framework {
    /// TensorFlow and Keras.
    TensorFlow,
    /// ONNX.
    Onnx,
}

impl std::fmt::Display for Framework {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Framework::TensorFlow => "TensorFlow",
            Framework::Onnx => "ONNX",
        })
    }
}

/// What the importer says of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeStatus {
    /// It is in the graph, or known when compiling.
    Imported,
    /// It cannot be imported: why, and what to do.
    Unsupported(NodeRefusal),
    /// It uses a node that cannot be imported, so that nothing can be said of it.
    Unreached,
}

/// A node of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedNode {
    /// Its name in the model.
    pub name: String,
    /// Its operation, as the model calls it.
    pub op: String,
    /// The name of its first result, which what becomes of it is called after.
    pub result: String,
    /// Whether it can be imported.
    pub status: NodeStatus,
}

/// What an importer says of a model.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Whose operations these are.
    pub framework: Framework,
    /// The nodes that the outputs need, operands first.
    pub nodes: Vec<SurveyedNode>,
    /// What can be imported. Outputs are those of the model, and whatever only nodes use that
    /// cannot be imported.
    pub graph: Graph,
}

/// Looks at every node of a model, as [`super::from_path`] reads it.
///
/// # Errors
/// What concerns no single node: a file that is none, an output that does not exist.
pub fn survey(path: &Path, options: &ImportOptions) -> Result<Survey, ImportError> {
    let mut survey = match Place::of(path)? {
        Place::SavedModel => saved_model::survey(path, options),
        Place::TensorFlow(bytes) => tensorflow::survey(&bytes, options),
        Place::Onnx(bytes) => onnx::survey(bytes, Some(folder(path)), options),
    }?;
    survey.graph.name = super::name(path)?;
    Ok(survey)
}
