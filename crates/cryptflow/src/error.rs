//! The error of the commands: a text for the person who typed one. Places in it are names of nodes
//! and files, as models are binary; where a place is a line (TOML, JSON), the parser's message has
//! it, so that `miette` would add nothing.

use std::fmt::Display;
use std::path::Path;

use cryptflow_import::ImportError;

/// Why a command failed: what, where, why, and what to do. Printed after `error: `; the exit code
/// is 1.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    text: String,
    lasts: bool,
}

impl Error {
    /// An error with this text.
    pub fn new(text: impl Display) -> Error {
        Error { text: text.to_string(), lasts: false }
    }

    /// An error that stays, whoever tries again, until somebody does something about it.
    pub fn lasting(text: impl Display) -> Error {
        Error { text: text.to_string(), lasts: true }
    }

    /// Whether it is known to stay.
    pub fn lasts(&self) -> bool {
        self.lasts
    }

    /// Why the model at a path was not imported.
    pub fn import(path: &Path, error: &ImportError) -> Error {
        match error {
            // It names the file, which may be another one than the model's.
            ImportError::Read { .. } => Error::new(error),
            _ => Error::at(path, error),
        }
    }

    /// An error that concerns a file.
    pub fn at(path: &Path, reason: impl Display) -> Error {
        Error::new(format!("{}: {reason}", path.display()))
    }
}

/// A result of the commands.
pub type Result<T> = std::result::Result<T, Error>;
