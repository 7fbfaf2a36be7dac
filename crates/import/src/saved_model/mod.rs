//! The importer of SavedModels: folders with `saved_model.pb` (graphs) and `variables/` (a
//! checkpoint), as TensorFlow 1 and 2 and Keras write them.
//!
//! A signature of the model becomes a graph without functions (`inline.rs`) and without variables
//! (`variables.rs`), which is then read as a frozen graph is.

mod bundle;
mod inline;
mod messages;
mod signature;
mod variables;

use std::collections::HashMap;
use std::path::Path;

use prost::Message;

use inline::Inliner;
use messages::SignatureDef;

use super::survey::Survey;
use super::tensorflow::control::is_control;
use super::tensorflow::messages::{Attr, AttrValue, GraphDef, NodeDef};
use super::tensorflow::{Origin, import_def, survey_def};
use super::{ImportError, ImportOptions};
use cryptflow_graph::Graph;

pub use bundle::BundleError;

/// Why a SavedModel did not become a graph.
#[derive(Debug, thiserror::Error)]
pub enum SavedModelError {
    /// Something in `saved_model.pb` is missing or contradicts itself.
    #[error("saved_model.pb is damaged: {0}. Copy the SavedModel again, or save it again")]
    Damaged(String),
    /// No graph for inference.
    #[error(
        "the SavedModel has no graph with the tag \"serve\" (it has: {}). Save it for serving: model.export(\"folder\") in \
         Keras, tf.saved_model.save in TensorFlow", if tags.is_empty() { "none".into() } else { tags.join(", ") }
    )]
    NoServingGraph {
        /// The tags of its graphs.
        tags: Vec<String>,
    },
    /// No signature of this name.
    #[error("the SavedModel has no signature {name:?}. {}", signatures(found))]
    NoSignature {
        /// The name.
        name: String,
        /// Those that it has.
        found: Vec<String>,
    },
    /// An input or output that is no dense tensor of its own.
    #[error(
        "{name:?} of the signature is a sparse or composite value, or a part of another one, which cannot be an input \
         or output here. Export the model with dense inputs and outputs"
    )]
    NotATensor {
        /// Its name in the signature.
        name: String,
    },
    /// Functions that call functions without end.
    #[error("the call of {function:?} is too deep: functions that call themselves cannot be computed here")]
    Deep {
        /// The function.
        function: String,
    },
    /// A call that waits for itself.
    #[error(
        "{node:?} is part of a loop. Loops have no place in an inference graph: unroll it before exporting"
    )]
    Loop {
        /// The node.
        node: String,
    },
    /// The graph without functions is far larger than the file.
    #[error(
        "the SavedModel's functions call each other so often that the graph has no bounds: it is damaged"
    )]
    Large,
    /// A variable without a value.
    #[error("the variable {name:?} cannot be read: {reason}")]
    Variable {
        /// Its name.
        name: String,
        /// What is the matter.
        reason: String,
    },
    /// The values of the variables cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl SavedModelError {
    fn damaged(reason: impl Into<String>) -> SavedModelError {
        SavedModelError::Damaged(reason.into())
    }
}

fn signatures(found: &[String]) -> String {
    if found.is_empty() {
        return "It has none at all: save it again with one, tf.saved_model.save(module, folder, \
                signatures=module.call.get_concrete_function(…))"
            .into();
    }
    format!("Give one of these with --signature NAME:\n  {}", found.join("\n  "))
}

/// Imports the signature of a SavedModel that the options name.
///
/// Inputs and outputs are called as the signature calls them, in alphabetical order; TensorFlow
/// keeps no other. Only the variables that the signature needs are read. Damaged or foreign files
/// are errors, and nothing larger than the files justify is allocated.
pub fn import(folder: &Path, options: &ImportOptions) -> Result<Graph, ImportError> {
    let (graph, options) = frozen(folder, options)?;
    import_def(&graph, &options, Origin::SavedModel)
}

/// What can be said of every node of the signature that the options name.
pub(super) fn survey(folder: &Path, options: &ImportOptions) -> Result<Survey, ImportError> {
    let (graph, options) = frozen(folder, options)?;
    survey_def(&graph, &options, Origin::SavedModel)
}

/// The signature as a frozen graph, and the options with its outputs.
fn frozen(folder: &Path, options: &ImportOptions) -> Result<(GraphDef, ImportOptions), ImportError> {
    let path = folder.join("saved_model.pb");
    let bytes = std::fs::read(&path).map_err(|source| ImportError::Read { path, source })?;
    let model = messages::SavedModel::decode(bytes.as_slice())
        .map_err(|e| SavedModelError::damaged(format!("its {} bytes do not decode ({e})", bytes.len())))?;
    let length = bytes.len();
    drop(bytes);
    let name = options.signature.as_deref().unwrap_or(signature::DEFAULT);
    let (graph, outputs) = flatten(folder, signature::serving(&model)?, name, length)?;
    drop(model);
    let mut options = options.clone();
    if options.outputs.is_empty() {
        options.outputs = outputs;
    }
    Ok((graph, options))
}

/// The graph of a signature without functions and variables, and the names of its outputs.
fn flatten(
    folder: &Path,
    model: &messages::MetaGraphDef,
    name: &str,
    length: usize,
) -> Result<(GraphDef, Vec<String>), SavedModelError> {
    let signature = signature::named(model, name)?;
    let graph = model.graph_def.as_ref().ok_or_else(|| SavedModelError::damaged("it holds no graph"))?;
    let operations = model.meta_info_def.iter().filter_map(|m| m.stripped_op_list.as_ref());
    let operations = operations.map(|l| l.op.as_slice()).next().unwrap_or_default();
    let mut inliner = Inliner::new(graph, operations, length)?;

    replace_inputs(&mut inliner, signature)?;
    for (name, info) in &signature.outputs {
        let node = info.name.strip_suffix(":0").unwrap_or(&info.name);
        inliner.reserve(name, inliner.top(node).map(|(i, _)| i).filter(|&i| !inliner.is_call(i)));
    }
    for info in signature.inputs.values() {
        inliner.value(&info.name)?;
    }
    let outputs = add_outputs(&mut inliner, signature)?;

    // How variables are restored: assignments at the top (TensorFlow 1), or in a function
    // (TensorFlow 2).
    let restore = model.saver_def.as_ref().map_or("", |s| s.restore_op_name.as_str());
    for (i, node) in inliner.tops().iter().enumerate() {
        if inliner.restores(node) || node.name == restore {
            inliner.effects(i)?;
        }
    }
    let mut nodes = inliner.into_flat();
    let variables = folder.join("variables").join("variables");
    variables::fill(&mut nodes, &outputs, &variables)?;
    let names = outputs.iter().filter_map(|&(i, _)| nodes.get(i)).map(|n| n.name.clone()).collect();
    // What loops and branches run.
    let library = nodes.iter().any(|node| is_control(&node.op)).then(|| graph.library.clone()).flatten();
    Ok((GraphDef { node: nodes, library, ..GraphDef::default() }, names))
}

/// Puts placeholders in the places of the inputs, also where the signature cuts the graph in the
/// middle.
fn replace_inputs(inliner: &mut Inliner<'_>, signature: &SignatureDef) -> Result<(), SavedModelError> {
    for (name, info) in &signature.inputs {
        let not_here = || SavedModelError::NotATensor { name: name.clone() };
        let node = info.name.strip_suffix(":0").unwrap_or(&info.name);
        let (i, _) = inliner.top(node).ok_or_else(not_here)?;
        if inliner.is_call(i) {
            return Err(not_here());
        }
        inliner.reserve(name, Some(i));
        let mut attr = HashMap::new();
        attr.insert("dtype".to_owned(), AttrValue { value: Some(Attr::Type(info.dtype)) });
        if let Some(shape) = &info.tensor_shape {
            attr.insert("shape".to_owned(), AttrValue { value: Some(Attr::Shape(shape.clone())) });
        }
        inliner.replace(i, NodeDef { name: name.clone(), op: "Placeholder".into(), input: Vec::new(), attr });
    }
    Ok(())
}

/// The outputs, under the names that the signature gives them: nodes, and which of their results.
fn add_outputs<'a>(
    inliner: &mut Inliner<'a>,
    signature: &'a SignatureDef,
) -> Result<Vec<(usize, usize)>, SavedModelError> {
    let mut outputs = Vec::new();
    for (name, info) in &signature.outputs {
        if info.name.is_empty() {
            return Err(SavedModelError::NotATensor { name: name.clone() });
        }
        let (node, port) = inliner.value(&info.name)?;
        let called = inliner.flat().get(node).is_some_and(|n| n.name == *name);
        outputs.push(if called && port == 0 {
            (node, 0)
        } else {
            (inliner.add_identity(name, (node, port)), 0)
        });
    }
    Ok(outputs)
}
