//! What TensorFlow takes for the same network in the clear, where it is installed.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::error::{Error, Result};

/// The script that measures.
const SCRIPT: &str = include_str!("../../../../models/paper/time_tensorflow.py");

/// What the script found.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Timed {
    /// TensorFlow's version.
    pub version: String,
    /// The median of the runs.
    pub seconds: f64,
}

/// Whether `python3` finds TensorFlow.
pub fn installed() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import tensorflow"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

/// Times a frozen graph on the rows of an `.npy` file.
///
/// # Errors
/// TensorFlow cannot run it.
pub fn time(model: &Path, examples: &Path, runs: usize) -> Result<Timed> {
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .args([model, examples])
        .arg(runs.to_string())
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Error::new(format!("cannot run python3: {e}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.trim().lines().last().unwrap_or("it does not say why").to_owned();
        return Err(Error::at(model, format!("TensorFlow cannot run it: {last}")));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(said.trim().lines().last().unwrap_or_default())
        .map_err(|e| Error::at(model, format!("TensorFlow's time cannot be understood: {e}")))
}
