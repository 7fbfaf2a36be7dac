//! Decoding a file's bytes.

use prost::Message;

use super::messages::ModelProto;
use crate::{ImportError, Lookalike};

/// The message in these bytes, or what they are instead.
pub(super) fn model(bytes: &[u8]) -> Result<ModelProto, ImportError> {
    match Lookalike::of(bytes) {
        None | Some(Lookalike::Onnx) => {}
        Some(found) => return Err(ImportError::NotAGraph { found }),
    }
    let model = ModelProto::decode(bytes).map_err(|error| ImportError::Onnx {
        length: bytes.len(),
        reason: format!("the file is cut off or damaged ({error})"),
    })?;
    if model.graph.is_none() {
        let reason = "it holds no graph".into();
        return Err(ImportError::Onnx { length: bytes.len(), reason });
    }
    Ok(model)
}
