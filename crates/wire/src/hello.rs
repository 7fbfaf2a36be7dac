//! The handshake: before anything else, both ends prove that they hold the session's token.
//!
//! Each side sends `magic, version, role, nonce` and reads the other's; then each sends a keyed
//! hash over both hellos, with the token as its key, and checks the other's. The nonces are fresh,
//! so a proof is good for one connection; the order and the roles are hashed, so a proof cannot be
//! sent back to its maker.

use std::io::{Read, Write};

use crate::error::WireError;
use crate::token::{Token, random};

const MAGIC: [u8; 8] = *b"CRYPTFLO";
const VERSION: u16 = 1;
/// Bytes of a hello.
pub(crate) const HELLO_LEN: usize = 8 + 2 + 1 + 32;
const CONTEXT: &[u8] = b"cryptflow wire hello v1";

/// The client's [`Role::code`].
const CLIENT: u8 = 3;

/// What somebody is in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A party, by its index.
    Party(u8),
    /// Whoever brings weights and inputs, and takes outputs.
    Client,
}

impl Role {
    /// One byte: the client is 3, and the parties have all other numbers, in order.
    pub fn code(self) -> u8 {
        match self {
            Role::Party(index) if index < CLIENT => index,
            Role::Party(index) => index.saturating_add(1),
            Role::Client => CLIENT,
        }
    }

    /// The inverse of [`Role::code`].
    pub fn from_code(code: u8) -> Role {
        match code {
            CLIENT => Role::Client,
            0..CLIENT => Role::Party(code),
            _ => Role::Party(code - 1),
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Role::Party(index) => write!(f, "P{index}"),
            Role::Client => f.write_str("the client"),
        }
    }
}

/// Shakes hands over a fresh connection. `accept` says which roles are welcome; returns the peer's.
/// `peer` names the peer in errors.
pub(crate) fn shake_hands(
    stream: &mut (impl Read + Write),
    own: Role,
    accept: impl Fn(Role) -> bool,
    token: &Token,
    peer: &str,
) -> Result<Role, WireError> {
    let refused = |reason: String| WireError::Connect { peer: peer.to_string(), reason };
    let io = |e: std::io::Error| refused(format!("the handshake failed: {e}"));

    let mine = encode(own, &random()?);
    stream.write_all(&mine).and_then(|()| stream.flush()).map_err(io)?;
    let mut theirs = [0; HELLO_LEN];
    stream.read_exact(&mut theirs).map_err(io)?;
    let role = decode(&theirs).map_err(|e| refused(e.to_string()))?;
    if role == own || !accept(role) {
        return Err(refused(format!("{role} is not expected here")));
    }
    stream.write_all(prove(token, &mine, &theirs).as_bytes()).and_then(|()| stream.flush()).map_err(io)?;
    let mut proof = [0; blake3::OUT_LEN];
    stream.read_exact(&mut proof).map_err(io)?;
    // `Hash == Hash` takes the same time wherever they differ.
    if blake3::Hash::from_bytes(proof) != prove(token, &theirs, &mine) {
        return Err(refused("it does not hold this session's token".into()));
    }
    Ok(role)
}

fn encode(role: Role, nonce: &[u8; 32]) -> [u8; HELLO_LEN] {
    let mut hello = [0; HELLO_LEN];
    hello[..8].copy_from_slice(&MAGIC);
    hello[8..10].copy_from_slice(&VERSION.to_le_bytes());
    hello[10] = role.code();
    hello[11..].copy_from_slice(nonce);
    hello
}

/// Why a hello is none that a party of this version says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Whoever says it is no party or client.
    #[error("it does not speak CrypTFlow's protocol")]
    Foreign,
    /// Another version of the protocol.
    #[error("it speaks version {0} of the protocol, and this is version {VERSION}")]
    Version(u16),
}

/// The role in a hello.
pub(crate) fn decode(hello: &[u8; HELLO_LEN]) -> Result<Role, HelloError> {
    if hello[..8] != MAGIC {
        return Err(HelloError::Foreign);
    }
    let version = u16::from_le_bytes([hello[8], hello[9]]);
    if version != VERSION {
        return Err(HelloError::Version(version));
    }
    Ok(Role::from_code(hello[10]))
}

/// Proof that whoever said `prover` to whoever said `verifier` holds the token.
fn prove(token: &Token, prover: &[u8; HELLO_LEN], verifier: &[u8; HELLO_LEN]) -> blake3::Hash {
    blake3::Hasher::new_keyed(token.as_bytes()).update(CONTEXT).update(prover).update(verifier).finalize()
}

#[cfg(test)]
#[path = "../tests/hello.rs"]
mod tests;
