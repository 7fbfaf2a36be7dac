//! The ways to use a SavedModel: which graph, and which of its signatures.

use super::SavedModelError;
use super::messages::{MetaGraphDef, SavedModel, SignatureDef, TensorInfo};
use crate::tensorflow::messages::DataType;

/// The signature that TensorFlow's own server uses.
pub(super) const DEFAULT: &str = "serving_default";
/// The tag of graphs for inference.
const SERVE: &str = "serve";
/// A signature that only starts the model up.
const START: &str = "__saved_model_init_op";

/// The graph for inference: the one that has no other tag, or else the first one.
pub(super) fn serving(model: &SavedModel) -> Result<&MetaGraphDef, SavedModelError> {
    let tags =
        |graph: &MetaGraphDef| graph.meta_info_def.as_ref().map(|m| m.tags.clone()).unwrap_or_default();
    let alone = model.meta_graphs.iter().find(|g| tags(g) == [SERVE]);
    let any = || model.meta_graphs.iter().find(|g| tags(g).iter().any(|t| t == SERVE));
    alone.or_else(any).ok_or_else(|| SavedModelError::NoServingGraph {
        tags: model.meta_graphs.iter().map(|g| tags(g).join("+")).collect(),
    })
}

/// The signature of this name.
pub(super) fn named<'a>(graph: &'a MetaGraphDef, name: &str) -> Result<&'a SignatureDef, SavedModelError> {
    let missing = || SavedModelError::NoSignature { name: name.into(), found: describe(graph) };
    graph.signature_def.get(name).ok_or_else(missing)
}

/// All signatures, a line each: `name(input: Float [?, 4]) -> output: Float [?, 2]`.
fn describe(graph: &MetaGraphDef) -> Vec<String> {
    let list = |tensors: &std::collections::BTreeMap<String, TensorInfo>| {
        tensors.iter().map(|(name, info)| format!("{name}: {}", tensor(info))).collect::<Vec<_>>().join(", ")
    };
    let line =
        |(name, s): (&String, &SignatureDef)| format!("{name}({}) -> {}", list(&s.inputs), list(&s.outputs));
    graph.signature_def.iter().filter(|(name, _)| *name != START).map(line).collect()
}

fn tensor(info: &TensorInfo) -> String {
    let dtype = DataType::try_from(info.dtype).map_or_else(|_| info.dtype.to_string(), |d| format!("{d:?}"));
    let shape = match &info.tensor_shape {
        Some(shape) if !shape.unknown_rank => {
            let dims = shape.dim.iter().map(|d| if d.size < 0 { "?".into() } else { d.size.to_string() });
            format!("[{}]", dims.collect::<Vec<_>>().join(", "))
        }
        _ => "of any shape".into(),
    };
    format!("{dtype} {shape}")
}
