//! The file of outputs that a run writes.

use std::path::Path;

use crate::error::{Error, Result};
use crate::output;
use crate::report::Known;
use crate::results::Results;
use clap::ValueEnum;
use cryptflow_arrays::npy::{Tensor, Written};
use cryptflow_program::Value;

/// What of the outputs is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputForm {
    /// What the parties opened: logits, where the model goes on to a softmax, an arg-max or a
    /// top-k.
    Opened,
    /// What the model itself returns.
    Model,
}

/// Whether a file can hold all outputs.
pub(super) fn check_names(path: &Path, outputs: &[(&str, &Value)]) -> Result<()> {
    let form = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    if let Some(form) = form.filter(|form| !matches!(form.as_str(), "npy" | "npz")) {
        let reason = format!("outputs are written as .npy or .npz, not as .{form}: give such a name");
        return Err(Error::at(path, reason));
    }
    if !output::is_archive(path) {
        let [_] = outputs else {
            let names: Vec<&str> = outputs.iter().map(|&(name, _)| name).collect();
            let reason = format!(
                "one array cannot hold the {} outputs of the model ({}): give a file that is called .npz",
                names.len(),
                names.join(", ")
            );
            return Err(Error::at(path, reason));
        };
        return Ok(());
    }
    for (index, (name, _)) in outputs.iter().enumerate() {
        if outputs.iter().skip(index + 1).any(|(other, _)| other == name) {
            let reason =
                format!("two outputs of the model are called {name:?}: compile it with other --output");
            return Err(Error::at(path, reason));
        }
    }
    Ok(())
}

/// Writes all outputs by name, or the only one.
pub(super) fn write(path: &Path, results: &[Results], known: &[Known<'_>], form: OutputForm) -> Result<()> {
    let written = results.iter().zip(known).map(|(results, known)| {
        let (results, kind, names) = match form {
            OutputForm::Opened => (results.clone(), Default::default(), None),
            OutputForm::Model => {
                let answered = results.answered(known.transform).map_err(Error::new)?;
                (answered, known.written_as(), known.written_names())
            }
        };
        Ok((results.tensor(), kind, names))
    });
    let written: Vec<(Tensor, _, _)> = written.collect::<Result<_>>()?;
    let written = written.iter().map(|(tensor, kind, names)| Written { tensor, kind: *kind, names: *names });
    if output::is_archive(path) {
        let named: Vec<_> = results.iter().map(|results| results.name.as_str()).zip(written).collect();
        return output::write_npz(path, &named).map_err(Error::new);
    }
    let only = written.into_iter().next();
    let only = only.ok_or_else(|| Error::new("the model has no output; compile it again"))?;
    output::write_npy(path, only).map_err(Error::new)
}
