//! The arguments that say which part of which model is meant: the same in every command that reads
//! models.

use std::path::{Path, PathBuf};

use clap::Args;
use cryptflow::error::{Error, Result};
use cryptflow::notation;
use cryptflow::report::Origin;
use cryptflow_athos::Meaning;
use cryptflow_import::{ImportOptions, Lookalike};
use cryptflow_program::{Checked, file};

/// A model, and what its file does not say.
#[derive(Args)]
pub(crate) struct Model {
    /// The model: the folder of a TensorFlow SavedModel, a frozen graph (.pb), or an ONNX model
    /// (.onnx).
    pub(super) model: PathBuf,
    /// The shape of an input, as in `x=1,224,224,3`; a name that is no input cuts the graph there.
    #[arg(long, value_name = "NAME=SHAPE", value_parser = notation::input)]
    input: Vec<(String, Vec<usize>)>,
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

/// Reads a compiled model, or its public part. What was never compiled is named for what it is.
pub(super) fn read(path: &Path) -> Result<file::Model> {
    file::read(path).map_err(|error| {
        if let Some(found) = Lookalike::model_at(path) {
            let how = format!("cryptflow compile {} --calibrate EXAMPLES -o model.safetensors", path.display());
            let reason = format!("this is {found}, which is not compiled. Compile it, and give what this writes: {how}");
            return Error::at(path, reason);
        }
        match Lookalike::at(path) {
            // What is wrong with it is known better.
            None | Some(Lookalike::Compiled | Lookalike::Safetensors) => Error::new(error),
            Some(Lookalike::Directory) => {
                Error::at(path, "this is a folder. Give the file that `cryptflow compile` wrote")
            }
            Some(found @ Lookalike::Empty) => Error::at(path, format_args!("this is {found}. Copy it again")),
            Some(found @ Lookalike::Text) => {
                Error::at(path, format_args!("this is {found}. Give the file that `cryptflow compile` wrote"))
            }
            Some(found @ (Lookalike::Numpy | Lookalike::Picture)) => {
                let reason = format!(
                    "this is {found}, and not what `cryptflow compile` wrote. Give the compiled model here, and this file \
                     as the input: --input {}",
                    path.display()
                );
                Error::at(path, reason)
            }
            Some(found) => {
                let advice = found.advice();
                Error::at(path, format_args!("this is not what `cryptflow compile` wrote: it looks like {found}. To compile a model: {advice}"))
            }
        }
    })
}

/// Reads a compiled model, with its weights.
pub(super) fn compiled(path: &Path) -> Result<Compiled> {
    let model = read(path)?;
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
