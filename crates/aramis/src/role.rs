//! Who proves, and who verifies.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A participant of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Party 0, 1 or 2.
    Party(u8),
    /// Whoever shares an input or weights, and opens outputs. It verifies, and proves nothing.
    Client,
}

impl Role {
    /// One byte for hashing: a party's number, 255 for the client.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Role::Party(number) => number,
            Role::Client => u8::MAX,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Party(number) => write!(f, "P{number}"),
            Role::Client => f.write_str("the client"),
        }
    }
}
