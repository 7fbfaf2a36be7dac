//! Keys of programs that may ask: a file with the digest of each, never the key itself.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cryptflow_program::write_secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a key begins with, so that people and scanners know one that lies about.
const PREFIX: &str = "cryptflow-";

/// Random bytes of a key.
const BYTES: usize = 32;

/// Whose keys there are, by name.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    holders: BTreeMap<[u8; 32], Holder>,
}

/// Whoever holds a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The name.
    pub name: String,
    /// The models that may be asked; nothing means all.
    pub models: Option<BTreeSet<String>>,
}

impl Holder {
    /// Whether this model may be asked.
    pub fn may_ask(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(model))
    }
}

/// A key in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    models: Option<BTreeSet<String>>,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read or written.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is none of keys.
    #[error("{}: {reason}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Others can write the file: whoever can may ask for everything.
    #[error("{}: others than its owner can write it (mode {mode:o}); chmod 600 it, and look at what is in it", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The name is taken.
    #[error("{}: there is a key of {name:?} already; take that away first", file.display())]
    Taken {
        /// The file.
        file: PathBuf,
        /// Whose.
        name: String,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

fn entries(file: &Path) -> Result<BTreeMap<String, Entry>, KeysError> {
    let io = |source| KeysError::Io { file: file.into(), source };
    let mode = std::fs::metadata(file).map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(KeysError::Open { file: file.into(), mode });
    }
    let text = std::fs::read_to_string(file).map_err(io)?;
    toml::from_str(&text)
        .map_err(|error| KeysError::Malformed { file: file.into(), reason: error.to_string() })
}

impl Keys {
    /// Reads a file of keys.
    ///
    /// # Errors
    /// It is none, or others can write it.
    pub fn read(file: &Path) -> Result<Keys, KeysError> {
        let mut holders = BTreeMap::new();
        for (name, Entry { sha256, models }) in entries(file)? {
            let mut digest = [0; 32];
            hex::decode_to_slice(&sha256, &mut digest).map_err(|_| KeysError::Malformed {
                file: file.into(),
                reason: format!("the sha256 of {name} is not 64 hexadecimal digits"),
            })?;
            holders.insert(digest, Holder { name, models });
        }
        Ok(Keys { holders })
    }

    /// Whose key this is. It is looked up by its digest, which says nothing of other keys by the time it
    /// takes.
    pub fn holder(&self, key: &str) -> Option<&Holder> {
        self.holders.get(&<[u8; 32]>::from(Sha256::digest(key.as_bytes())))
    }
}

/// Makes a key, adds its digest to a file (which is made where there is none), and returns it. Nobody can
/// find it out from the file again.
///
/// # Errors
/// The file cannot be used, or has a key of this name.
pub fn add(file: &Path, name: &str, models: Option<BTreeSet<String>>) -> Result<String, KeysError> {
    let mut all = if file.exists() { entries(file)? } else { BTreeMap::new() };
    if all.contains_key(name) {
        return Err(KeysError::Taken { file: file.into(), name: name.into() });
    }
    let mut random = [0; BYTES];
    getrandom::fill(&mut random).map_err(KeysError::Random)?;
    let key = format!("{PREFIX}{}", hex::encode(random));
    let sha256 = hex::encode(Sha256::digest(key.as_bytes()));
    all.insert(name.into(), Entry { sha256, models });
    let text = toml::to_string(&all)
        .map_err(|error| KeysError::Malformed { file: file.into(), reason: error.to_string() })?;
    write_secret(file, |writer| writer.write_all(text.as_bytes()))
        .map_err(|source| KeysError::Io { file: file.into(), source })?;
    Ok(key)
}
