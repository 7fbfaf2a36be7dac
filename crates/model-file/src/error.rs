//! What can be wrong with a file.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use cryptflow_program::Invalid;

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
    #[error("this is not a safetensors file, or a damaged one: {reason}")]
    NotSafetensors {
        /// How it shows.
        reason: String,
    },
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
        "it was compiled by another version (its form is {found}, those up to {understood} are understood here); compile the model again"
    )]
    Version {
        /// Its version.
        found: String,
        /// [`crate::VERSION`].
        understood: u32,
    },
    /// A file of this project that is no model.
    #[error("it holds `{found}`, not a model")]
    Content {
        /// What it says that it holds.
        found: String,
    },
    /// Its program, or its report, is not the JSON that it should be.
    #[error("its {part} cannot be read: {source}")]
    Json {
        /// `program` or `report`.
        part: &'static str,
        /// Where, and what.
        source: serde_json::Error,
    },
    /// Its program, or its report, is compressed in another way than this form has.
    #[error("its {part} cannot be read: {reason}")]
    Packed {
        /// `program` or `report`.
        part: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A model that has no form as a file.
    #[error("the model cannot be written: {reason}")]
    Form {
        /// What stands in the way.
        reason: String,
    },
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
    #[error("tensor `{tensor}` is not one of its program's weights")]
    Extra {
        /// Its name.
        tensor: String,
    },
    /// Damaged or changed.
    #[error("its {0} does not match its digest: the file was damaged or changed; compile the model again")]
    Digest(&'static str),
    /// More or fewer weights than the program's were to be written.
    #[error("these are not the program's weights: {given} tensors were given for {weights} weights")]
    WeightCount {
        /// Tensors that were given.
        given: usize,
        /// Weights of the program.
        weights: usize,
    },
    /// A weight of another size than the program's was to be written.
    #[error(
        "these are not the program's weights: weight {index} ({name}) has {len} elements, not the shape {shape:?}"
    )]
    WeightLength {
        /// Which weight.
        index: usize,
        /// Its name in the source model.
        name: String,
        /// Elements that were given.
        len: usize,
        /// Its shape in the program.
        shape: Vec<usize>,
    },
}

impl FileError {
    pub(crate) fn io(path: &Path, action: &'static str, reason: impl Display) -> FileError {
        FileError::Io { path: path.to_path_buf(), action, reason: reason.to_string() }
    }

    pub(crate) fn json(part: &'static str) -> impl Fn(serde_json::Error) -> FileError {
        move |source| FileError::Json { part, source }
    }

    pub(crate) fn form(reason: impl Display) -> FileError {
        FileError::Form { reason: reason.to_string() }
    }
}
