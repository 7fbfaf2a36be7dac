//! The error of the commands: a text for the person who typed one. Places in it are names of nodes
//! and files, as models are binary; where a place is a line (TOML, JSON), the parser's message has
//! it, so that `miette` would add nothing.

use std::fmt::Display;
use std::path::Path;

/// Why a command failed: what, where, why, and what to do. Printed after `error: `; the exit code
/// is 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// An error with this text.
    pub fn new(text: impl Display) -> Error {
        Error(text.to_string())
    }

    /// An error that concerns a file.
    pub fn at(path: &Path, reason: impl Display) -> Error {
        Error(format!("{}: {reason}", path.display()))
    }
}

/// A result of the commands.
pub type Result<T> = std::result::Result<T, Error>;
