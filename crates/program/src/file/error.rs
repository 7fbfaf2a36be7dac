//! What can be wrong with a file.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::validate::Invalid;

/// Why a compiled model could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system says no.
    #[error("cannot {action} {path}: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `write`.
        action: &'static str,
        /// The operating system's reason.
        reason: String,
    },
    /// Something is wrong with this file.
    #[error("{path}: {error}")]
    At {
        /// The file.
        path: PathBuf,
        /// What.
        error: Box<FileError>,
    },
    /// Another kind of file, or a damaged one.
    #[error("this is not a safetensors file, or a damaged one: {0}")]
    NotSafetensors(String),
    /// The file ends early, or late.
    #[error(
        "the file is not as long as its header says: it was cut off, or something was appended; copy it again"
    )]
    Truncated,
    /// A safetensors file of something else.
    #[error("this is a safetensors file, but not a model that `cryptflow compile` wrote")]
    NotCompiled,
    /// Metadata that must be there is not.
    #[error("its metadata has no `{0}`")]
    Missing(&'static str),
    /// Another version of the form.
    #[error(
        "it was compiled by another version (its form is {found}, {understood} is understood here); compile the model again"
    )]
    Version {
        /// Its version.
        found: String,
        /// [`crate::VERSION`].
        understood: u32,
    },
    /// A file of this project that is no model.
    #[error("it holds `{0}`, not a model")]
    Content(String),
    /// The program or the report cannot be read as JSON, or cannot be written so.
    #[error("its program cannot be read: {0}")]
    Json(String),
    /// A program that no party would run.
    #[error("its program is invalid: {0}")]
    Invalid(#[from] Invalid),
    /// A weight is missing or is not what the program says.
    #[error("tensor `{name}` (weight {weight}) {reason}")]
    Tensor {
        /// The tensor.
        name: String,
        /// The weight's name in the source model.
        weight: String,
        /// What is wrong.
        reason: String,
    },
    /// A tensor that the program does not know.
    #[error("tensor `{0}` is not one of its program's weights")]
    Extra(String),
    /// Damaged or changed.
    #[error("its {0} does not match its digest: the file was damaged or changed; compile the model again")]
    Digest(&'static str),
    /// Weights that are not the program's were to be written.
    #[error("these are not the program's weights: {0}")]
    Weights(String),
}

impl FileError {
    pub(super) fn io(path: &Path, action: &'static str, reason: impl Display) -> FileError {
        FileError::Io { path: path.to_path_buf(), action, reason: reason.to_string() }
    }
}
