//! [`Mode`]: what a session is for, and which parties take part in it.

use cryptflow_protocols::ProtocolName;
use serde::{Deserialize, Serialize};

use crate::messages::Manifest;

/// What a session is for. All who take part in it mean the same, as they mean the same manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Programs run, and the dealer deals meanwhile.
    #[default]
    Live,
    /// Nothing runs: the dealer deals for runs to come, and the evaluators keep that. From
    /// [`crate::edition::Edition::Nine`] on, as the next one.
    Deal,
    /// Programs run on what was dealt ahead, and the dealer takes no part.
    Dealt {
        /// The number of the dealing.
        stock: [u8; 32],
    },
}

impl Mode {
    /// How many parties take part, the first ones: the dealer is the last.
    pub fn parties(self, protocol: ProtocolName) -> usize {
        let facts = protocol.facts();
        match (self, facts.dealer) {
            (Mode::Dealt { .. }, Some(dealer)) => dealer.index().min(facts.parties),
            (Mode::Dealt { .. }, None) | (Mode::Live | Mode::Deal, _) => facts.parties,
        }
    }

    /// What the parties of a session of this kind compare before it begins: that of the manifest alone, where it
    /// is live, as ever.
    pub fn digest(self, manifest: &Manifest) -> [u8; 32] {
        let (word, stock) = match self {
            Mode::Live => return manifest.digest(),
            Mode::Deal => (b"deal ", [0; 32]),
            Mode::Dealt { stock } => (b"dealt", stock),
        };
        let mut hasher = blake3::Hasher::new_derive_key("cryptflow session mode v1");
        hasher.update(&manifest.digest()).update(word).update(&stock);
        *hasher.finalize().as_bytes()
    }

    /// The word for it, in logs.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Live => "live",
            Mode::Deal => "deal",
            Mode::Dealt { .. } => "dealt",
        }
    }
}
