//! Reading compiled models.

use std::path::Path;

use cryptflow_import::Lookalike;
use cryptflow_model_file as file;

use crate::error::{Error, Result};

/// Reads a compiled model, or its public part. What was never compiled is named for what it is.
///
/// # Errors
/// Where the file cannot be read, and what it is instead.
pub fn read(path: &Path) -> Result<file::Model> {
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
