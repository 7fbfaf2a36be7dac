//! The error of the commands: a text for the person who typed one, and a word for the program that did. Places in
//! it are names of nodes and files, as models are binary; where a place is a line (TOML, JSON), the parser's message
//! has it, so that `miette` would add nothing.

use std::fmt::Display;
use std::path::Path;

use cryptflow_import::ImportError;
use cryptflow_party::code::Code;
use cryptflow_party::messages::SessionError;

/// Why a command failed: what, where, why, and what to do. Printed after `error: `; the exit code
/// is 1.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    code: Code,
    text: String,
    reported: bool,
    lasts: bool,
}

impl Error {
    /// An error with this text, and no kind that has a word of its own.
    pub fn new(text: impl Display) -> Error {
        Error::of(Code::Failed, text)
    }

    /// An error of this kind.
    pub fn of(code: Code, text: impl Display) -> Error {
        Error { code, text: text.to_string(), reported: false, lasts: false }
    }

    /// The same, which stays, whoever tries again, until somebody does something about it.
    pub fn lasting(self) -> Error {
        Error { lasts: true, ..self }
    }

    /// Whether it is known to stay.
    pub fn lasts(&self) -> bool {
        self.lasts
    }

    /// The same, where what was printed in JSON says it already.
    pub(crate) fn reported(self) -> Error {
        Error { reported: true, ..self }
    }

    /// What kind of error it is.
    pub fn code(&self) -> Code {
        self.code
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
        Error::new(format_args!("{}: {reason}", path.display()))
    }

    /// As an object, for a command that was asked for JSON and has not printed any.
    pub(crate) fn json(&self) -> Option<String> {
        let error = serde_json::json!({ "error": { "code": self.code.word(), "message": self.text } });
        (!self.reported).then(|| error.to_string())
    }
}

impl From<SessionError> for Error {
    fn from(error: SessionError) -> Error {
        Error::of(Code::from(&error), error)
    }
}

/// A result of the commands.
pub type Result<T> = std::result::Result<T, Error>;
