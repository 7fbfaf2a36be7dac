//! What TensorFlow takes for the same network in the clear, where it is installed.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

/// The script that measures.
const SCRIPT: &str = include_str!("../../../models/paper/time_tensorflow.py");

/// What the script found.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Timed {
    /// TensorFlow's version.
    pub version: String,
    /// The median of the runs.
    pub seconds: f64,
}

/// Why there is no time of TensorFlow.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Python does not start.
    #[error("cannot run python3: {0}")]
    Python(#[from] std::io::Error),
    /// The network does not run; the last line of what Python said.
    #[error("TensorFlow cannot run it: {0}")]
    Run(String),
    /// The script's answer is none.
    #[error("TensorFlow's time cannot be understood: {0}")]
    Answer(#[from] serde_json::Error),
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
pub fn time(model: &Path, examples: &Path, runs: usize) -> Result<Timed, Error> {
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .args([model, examples])
        .arg(runs.to_string())
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Run(said.trim().lines().last().unwrap_or("it does not say why").to_owned()));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(serde_json::from_str(said.trim().lines().last().unwrap_or_default())?)
}
