//! What can be compiled of a model.

use std::path::PathBuf;

use cryptflow::check_report::Found;
use cryptflow_import::ImportOptions;
use pyo3::prelude::*;

use crate::compile::Import;
use crate::failure::Failure;
use crate::waiting;

/// Looks at every node of the model of a file. `options` is JSON, and so is what was found.
#[pyfunction]
pub(crate) fn check(py: Python<'_>, model: PathBuf, options: &str) -> PyResult<String> {
    let import: Import = serde_json::from_str(options).map_err(|e| Failure::option(e).raise(py))?;
    let options = ImportOptions::from(import);
    waiting::work(py, None, |_| {
        let check = cryptflow_athos::check::check(&model, &options)?;
        serde_json::to_string(&Found::new(&check)).map_err(Failure::bug)
    })
}
