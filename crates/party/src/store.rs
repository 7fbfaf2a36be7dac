//! What a party keeps: one safetensors file a model, which appears whole or not at all, and which
//! nobody else on the machine may read.
//!
//! | metadata | |
//! |---|---|
//! | `format` | `cryptflow-part-2` |
//! | `party` | `0`, `1` or `2` |
//! | `salts` | of the commitments to what this party holds, one after another, in hexadecimal |
//! | `deployment` | the [`Deployment`] as JSON |
//!
//! The tensor `part.i` holds this party's part of weight `i`, as bytes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use cryptflow_program::write_secret;
use hex::FromHex;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde::Deserialize;

use crate::deployment::{Deployment, Part, check_name};

const FORMAT: &str = "cryptflow-part-2";
/// What was written before parts were kept together.
const OLD_FORMAT: &str = "cryptflow-part";
const SUFFIX: &str = ".part";

/// Why the store cannot do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system's reason.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that this version of the party did not write.
    #[error("{}: {reason}; deploy the model again", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No model has this name.
    #[error("no model {0:?} is deployed here")]
    Unknown(String),
    /// A model has this name already.
    #[error("a model {0:?} is deployed already; replace it with --replace, or choose another --name")]
    Exists(String),
}

/// A party's folder of deployed models.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    party: usize,
}

impl Store {
    /// The store of a party in a folder, which is made where it does not exist.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Path, party: usize) -> Result<Store, StoreError> {
        std::fs::create_dir_all(folder)
            .and_then(|()| restrict(folder, 0o700))
            .map_err(|source| StoreError::Io { path: folder.into(), source })?;
        Ok(Store { folder: folder.into(), party })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{SUFFIX}"))
    }

    /// Whether a model has this name.
    pub fn holds(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The names of all models, sorted.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        let fail = |source| StoreError::Io { path: self.folder.clone(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(fail)? {
            let file = entry.map_err(fail)?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(SUFFIX));
            names.extend(name.filter(|name| check_name(name).is_ok()).map(String::from));
        }
        names.sort();
        Ok(names)
    }

    /// Keeps a part, in the place of any other of its name.
    ///
    /// # Errors
    /// It cannot be written; what was there stays.
    pub fn put(&self, part: &Part) -> Result<(), StoreError> {
        let path = self.path(&part.deployment.name);
        let fail = |source| StoreError::Io { path: path.clone(), source };
        let json = serde_json::to_string(&part.deployment).map_err(|e| fail(e.into()))?;
        let metadata = HashMap::from([
            ("format".to_string(), FORMAT.to_string()),
            ("party".to_string(), self.party.to_string()),
            ("salts".to_string(), hex::encode(part.salts.concat())),
            ("deployment".to_string(), json),
        ]);
        let views = part.weights.iter().enumerate().map(|(i, bytes)| {
            let view = TensorView::new(Dtype::U8, vec![bytes.len()], bytes);
            view.map(|view| (format!("part.{i}"), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| fail(std::io::Error::other(e)))?;
        let bytes = serialize(views, Some(metadata)).map_err(|e| fail(std::io::Error::other(e)))?;
        write_secret(&path, |writer| writer.write_all(&bytes)).map_err(fail)
    }

    /// What everybody may know of a model: read from the head of its file, however long that is.
    ///
    /// # Errors
    /// There is none of this name, or its file is damaged.
    pub fn deployment(&self, name: &str) -> Result<Deployment, StoreError> {
        let path = self.named(name)?;
        let fail = |source| absent_or(&path, name, source);
        let mut file = File::open(&path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let mut start = [0; 8];
        let mut header = Vec::new();
        let read = file.read_exact(&mut start).and_then(|()| {
            let count = u64::from_le_bytes(start).min(length);
            file.by_ref().take(count).read_to_end(&mut header)
        });
        match read {
            Ok(_) => self.head(&header, length).map(|head| head.deployment),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err("it is too short".into()),
            Err(error) => return Err(fail(error)),
        }
        .map_err(|reason: String| StoreError::Damaged { path, reason })
    }

    /// This party's part of a model.
    ///
    /// # Errors
    /// There is none of this name, or its file is damaged.
    pub fn get(&self, name: &str) -> Result<Part, StoreError> {
        let path = self.named(name)?;
        let bytes = std::fs::read(&path).map_err(|source| absent_or(&path, name, source))?;
        self.parse(&bytes).map_err(|reason| StoreError::Damaged { path, reason })
    }

    fn named(&self, name: &str) -> Result<PathBuf, StoreError> {
        check_name(name).map_err(|_| StoreError::Unknown(name.into()))?;
        Ok(self.path(name))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Part, String> {
        let (length, _) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let header = bytes.get(8..length.saturating_add(8)).ok_or("it is too short")?;
        let Head { deployment, salts } = self.head(header, bytes.len() as u64)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let weights =
            (0..tensors.len()).map(|i| tensors.tensor(&format!("part.{i}")).map(|t| t.data().to_vec()));
        let weights = weights.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        Ok(Part { deployment, salts, weights })
    }

    /// What the header of a file of so many bytes says.
    fn head(&self, header: &[u8], length: u64) -> Result<Head, String> {
        let Header { texts, tensors } = serde_json::from_slice(header).map_err(|e| e.to_string())?;
        let end = tensors.values().map(|tensor| tensor.data_offsets[1]).max().unwrap_or(0);
        if end.checked_add(8 + header.len() as u64) != Some(length) {
            return Err("it is not as long as its header says".into());
        }
        let text = |key: &str| texts.get(key).map(String::as_str).ok_or(format!("it says no {key}"));
        match text("format")? {
            FORMAT => {}
            OLD_FORMAT => return Err("an older version of this program wrote it".into()),
            _ => return Err("this is no party's part of a model".into()),
        }
        if text("party")? != self.party.to_string() {
            return Err(format!(
                "this is the part of P{}, and this party is P{}",
                text("party")?,
                self.party
            ));
        }
        let salts = Vec::from_hex(text("salts")?).map_err(|_| "its salts are malformed")?;
        let (salts, rest) = salts.as_chunks::<32>();
        if !rest.is_empty() {
            return Err("its salts are malformed".into());
        }
        let deployment: Deployment = serde_json::from_str(text("deployment")?).map_err(|e| e.to_string())?;
        Ok(Head { deployment, salts: salts.to_vec() })
    }
}

/// What stands before the weights.
struct Head {
    deployment: Deployment,
    salts: Vec<[u8; 32]>,
}

/// The header of a safetensors file.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    texts: HashMap<String, String>,
    #[serde(flatten)]
    tensors: HashMap<String, Place>,
}

/// Where a tensor is, behind the header.
#[derive(Deserialize)]
struct Place {
    data_offsets: [u64; 2],
}

/// Why a model's file cannot be read: there is none, or the system's reason.
fn absent_or(path: &Path, name: &str, source: std::io::Error) -> StoreError {
    match source.kind() {
        ErrorKind::NotFound => StoreError::Unknown(name.into()),
        _ => StoreError::Io { path: path.into(), source },
    }
}

/// Lets nobody but the owner at a file or folder, where the system has such rights.
pub fn restrict(path: &Path, mode: u32) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    }
    #[cfg(not(unix))]
    {
        let _ = (path, mode);
        Ok(())
    }
}
