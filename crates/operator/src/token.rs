//! The word that somebody must know who looks at a port that others can reach.

use std::path::{Path, PathBuf};

/// Fewest characters of a token: what can be guessed protects nothing.
const FEWEST: usize = 20;

/// A secret word, of a file.
#[derive(Clone)]
pub struct Token(String);

/// Why a file holds no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("{}: it cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is too short, or holds something else.
    #[error(
        "{}: a token is one line of at least {FEWEST} letters, digits, dashes and underscores: `openssl rand -hex 32` makes one",
        path.display()
    )]
    Unfit {
        /// The file.
        path: PathBuf,
    },
}

impl Token {
    /// Reads a file that holds nothing but a token.
    ///
    /// # Errors
    /// It cannot be read, or holds none.
    pub fn read(path: &Path) -> Result<Token, TokenError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| TokenError::Io { path: path.into(), source })?;
        let word = text.trim();
        let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !plain || word.len() < FEWEST {
            return Err(TokenError::Unfit { path: path.into() });
        }
        Ok(Token(word.into()))
    }

    /// Whether this is the word. How long it takes says nothing of how much of it is right.
    pub(crate) fn is(&self, said: &str) -> bool {
        let (own, said) = (self.0.as_bytes(), said.as_bytes());
        own.len() == said.len() && own.iter().zip(said).fold(0, |d, (a, b)| d | (a ^ b)) == 0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}
