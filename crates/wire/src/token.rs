//! The session token: what processes must share to be linked.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::WireError;

/// A secret of 32 bytes that everybody who takes part in a session holds, and nobody else. It never
/// travels over a link.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Token([u8; 32]);

impl Token {
    /// A fresh token from the operating system's randomness.
    pub fn fresh() -> Result<Token, WireError> {
        random().map(Token)
    }

    /// The token with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Token {
        Token(bytes)
    }

    /// The bytes, for handing the token to a process that shall take part.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(secret)")
    }
}

/// 32 random bytes.
pub(crate) fn random() -> Result<[u8; 32], WireError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| WireError::Randomness(e.to_string()))?;
    Ok(bytes)
}
