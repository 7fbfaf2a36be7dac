//! The arguments that say which part of which model is meant: the same in every command that reads
//! models.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::model_file;
use crate::notation;
use crate::report::Origin;
use clap::Args;
use cryptflow_athos::Meaning;
use cryptflow_import::ImportOptions;
use cryptflow_program::Checked;

/// A model, and what its file does not say.
#[derive(Args)]
pub(crate) struct Model {
    /// The model: the folder of a TensorFlow SavedModel, a frozen graph (.pb), or an ONNX model
    /// (.onnx).
    pub(super) model: PathBuf,
    /// The shape of an input, as in `x=1,224,224,3`; a name that is no input cuts the graph there.
    #[arg(long, value_name = "NAME=SHAPE", value_parser = notation::input)]
    input: Vec<(String, Vec<usize>)>,
    /// An input that is no secret, and what it is: `is_training=false`, `sr=16000`. The model is compiled for it.
    #[arg(long, value_name = "NAME=VALUE", value_parser = notation::set)]
    set: Vec<(String, String)>,
    /// A node to compute; the ones at the end of the graph, if none is named.
    #[arg(long, value_name = "NAME")]
    output: Vec<String>,
    /// The signature of the SavedModel to use (default: serving_default).
    #[arg(long, value_name = "NAME")]
    signature: Option<String>,
    /// Rows that are computed at once.
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
}

impl Model {
    pub(super) fn options(&self) -> ImportOptions {
        ImportOptions {
            inputs: self.input.clone(),
            outputs: self.output.clone(),
            signature: self.signature.clone(),
            batch: self.batch,
            set: self.set.clone(),
        }
    }
}

/// A compiled model, with its weights.
pub(super) struct Compiled {
    pub(super) program: Checked,
    pub(super) weights: Vec<Vec<i64>>,
    /// How it was made, as far as its file says.
    pub(super) origin: Origin,
    /// What the numbers of its outputs say, as far as its file says.
    pub(super) meanings: Vec<Meaning>,
}

/// Reads a compiled model, with its weights.
pub(super) fn compiled(path: &Path) -> Result<Compiled> {
    let model = model_file::read(path)?;
    let missing = "this is the public part of a model; give the file with its weights";
    let weights = model.weights.ok_or_else(|| Error::at(path, missing))?;
    let examples = model.report.as_ref().and_then(|report| report.get("examples")?.as_u64());
    let origin = match examples {
        None => Origin::Unknown,
        Some(0) => Origin::WorstCases,
        Some(_) => Origin::Calibrated,
    };
    // A file that was compiled before this was said, or by another compiler, says nothing of it.
    let meanings = model.report.as_ref().and_then(|report| report.get("outputs"));
    let meanings = meanings.and_then(|m| serde_json::from_value(m.clone()).ok()).unwrap_or_default();
    Ok(Compiled { program: model.program, weights, origin, meanings })
}
