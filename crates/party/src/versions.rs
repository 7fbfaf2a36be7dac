//! Versions of a model: what a party keeps under its name, in the order in which it was decided.
//!
//! A version is either a deployment, or that the model was removed. It has a number, its *generation*,
//! one above all that any party has, and it is *staged* at a party first: the party holds its part and
//! has signed that ([`crate::holding`]). Once somebody shows it that all have, the party has it
//! *committed*. So versions are the same everywhere, and what one party has committed the others have
//! at least staged: whoever sees both finishes what was begun.

use cryptflow_protocols::ProtocolName;
use cryptflow_wire::tls::Fingerprint;
use serde::{Deserialize, Serialize};

use crate::holding::{Held, Promise};

/// What a version is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// A model.
    Deployed {
        /// [`crate::deployment::Deployment::digest`].
        #[serde(with = "hex::serde")]
        digest: [u8; 32],
        /// The protocol that its weights were shared for.
        protocol: ProtocolName,
        /// Bytes of this party's file of it.
        bytes: u64,
    },
    /// There is none any more.
    Removed,
}

impl Content {
    /// What parties sign of it. No deployment has the digest of what was removed: that would be a
    /// preimage of zero.
    pub fn digest(&self) -> [u8; 32] {
        match self {
            Content::Deployed { digest, .. } => *digest,
            Content::Removed => [0; 32],
        }
    }
}

/// A version, as one party keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number.
    pub generation: u64,
    /// What it is.
    pub content: Content,
    /// When this party promised to take it: seconds since 1970.
    pub time: u64,
    /// Who brought it, as this party calls it.
    pub client: String,
    /// The key of that client.
    #[serde(with = "hex::serde")]
    pub owner: [u8; 32],
    /// What each party has signed, in order. Nothing while it is staged; and nothing where it was kept
    /// by a program that knew of no versions.
    pub held: Vec<Held>,
}

impl Version {
    /// What a party signs of it.
    pub fn promise<'a>(&self, name: &'a str) -> Promise<'a> {
        let deployment = self.content.digest();
        Promise { name, generation: self.generation, deployment, owner: Fingerprint(self.owner) }
    }

    /// Whether it is the same, wherever it is kept.
    pub fn is(&self, other: &Version) -> bool {
        self.generation == other.generation && self.content.digest() == other.content.digest()
    }
}

/// A version, and how it stands at a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The version.
    pub version: Version,
    /// Whether it is committed; staged, otherwise.
    pub committed: bool,
    /// Why it is of no use, where that shows at a glance.
    pub trouble: Option<String>,
}

/// A model, as one party keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its versions, the newest first; or why they cannot be read.
    pub versions: Result<Vec<Kept>, String>,
}

/// The version that is used, of all that are kept, the newest first: the newest that is committed, if that is a model.
pub fn used(versions: &[Kept]) -> Option<&Kept> {
    let newest = versions.iter().find(|kept| kept.committed);
    newest.filter(|kept| kept.version.content != Content::Removed)
}

impl Model {
    /// The protocol and the digest of the version that is used, where it is of use.
    pub fn served(&self) -> Option<(ProtocolName, [u8; 32])> {
        let used = used(self.versions.as_ref().ok()?).filter(|used| used.trouble.is_none())?;
        match &used.version.content {
            Content::Deployed { digest, protocol, .. } => Some((*protocol, *digest)),
            Content::Removed => None,
        }
    }

    /// Why the version that is used is of no use, or which one that is cannot be read.
    pub fn damage(&self) -> Option<&str> {
        match &self.versions {
            Err(reason) => Some(reason),
            Ok(versions) => used(versions)?.trouble.as_deref(),
        }
    }
}
