//! What a party keeps: a folder a model, `NAME.model`, which nobody else on the machine may read.
//!
//! | file | |
//! |---|---|
//! | `DIGEST.part` | this party's part of the deployment with this digest ([`file`]) |
//! | `N.staged` | version N, which this party has signed to hold; as JSON ([`Version`]) |
//! | `N.version` | version N, committed, with what all parties have signed |
//! | `DIGEST.arriving` | a part that arrives |
//! | `DIGEST.dealt` | folder: runs that were dealt ahead for this deployment ([`crate::stock`]), as long as it is used |
//!
//! Beside the models, the folder `notes` has what the operator did to the store while the party ran ([`Removal`]).
//!
//! Each file appears whole or not at all, and a version is committed by one file that appears: a
//! process that is killed at any moment leaves one state or the next (`repair.rs` says what is swept
//! away when the party starts). A party signs what it holds after `N.staged` is on the disk, and never
//! another version of this number, as long as it has the folder.

mod file;
mod notes;
mod repair;
mod room;
mod stocks;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptflow_program::write_secret;

pub use file::{PartWriter, read as read_part, write as write_part};
pub use notes::Removal;
pub use room::NoSpace;
pub(crate) use room::{free, room};

use crate::deployment::{Deployment, Part, check_name};
use crate::holding::Held;
use crate::stock::StockError;
use crate::versions::{Content, Kept, Model, Version, used};

/// A folder of a model ends in this, the files in it in those.
const MODEL: &str = ".model";
const PART: &str = "part";
const ARRIVING: &str = "arriving";
const STAGED: &str = "staged";
const VERSION: &str = "version";

/// A version's number is at most so far above the one before: whoever lies about the newest must not use
/// all numbers up.
const LEAP: u64 = 1 << 20;

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
    /// What is to be committed was not staged, or something else was.
    #[error("version {generation} of {model:?} is not staged here: nothing of it is kept")]
    NotStaged {
        /// The model.
        model: String,
        /// The version.
        generation: u64,
    },
    /// A version has this number, or a later one.
    #[error("version {newest} of {model:?} is here already: {generation} cannot follow it")]
    NotNew {
        /// The model.
        model: String,
        /// What was to follow.
        generation: u64,
        /// The newest that is here.
        newest: u64,
    },
    /// A number so far above all others that hardly any would be left.
    #[error("version {generation} of {model:?} is too far from the newest that is here, {newest}")]
    TooFar {
        /// The model.
        model: String,
        /// What was to follow.
        generation: u64,
        /// The newest that is here.
        newest: u64,
    },
    /// Runs that were dealt ahead.
    #[error(transparent)]
    Stock(#[from] StockError),
    /// The disk has no room for a part.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
    /// A deployment that is to come back is not here.
    #[error("no version of {model:?} with the digest {digest} is here")]
    Gone {
        /// The model.
        model: String,
        /// The deployment.
        digest: String,
    },
}

/// A party's folder of deployed models.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    party: usize,
    /// One change at a time, of whatever is looked at for it.
    changing: Arc<Mutex<()>>,
}

/// The versions of a model by their numbers; and whether each is committed.
type Versions = BTreeMap<u64, (Version, bool)>;

impl Store {
    /// The store of a party in a folder, which is made where it does not exist.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Path, party: usize) -> Result<Store, StoreError> {
        std::fs::create_dir_all(folder)
            .and_then(|()| restrict(folder, 0o700))
            .map_err(|source| StoreError::Io { path: folder.into(), source })?;
        Ok(Store { folder: folder.into(), party, changing: Arc::default() })
    }

    /// The same, for whoever only looks: nothing is made, and no right is changed.
    pub fn look_at(folder: &Path, party: usize) -> Store {
        Store { folder: folder.into(), party, changing: Arc::default() }
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn model_folder(&self, name: &str) -> Result<PathBuf, StoreError> {
        check_name(name).map_err(|_| StoreError::Unknown(name.into()))?;
        Ok(self.folder.join(format!("{name}{MODEL}")))
    }

    fn part(&self, name: &str, digest: &[u8; 32]) -> Result<PathBuf, StoreError> {
        Ok(self.model_folder(name)?.join(format!("{}.{PART}", hex::encode(digest))))
    }

    fn record(&self, name: &str, generation: u64, kind: &str) -> Result<PathBuf, StoreError> {
        Ok(self.model_folder(name)?.join(format!("{generation}.{kind}")))
    }

    /// The names of all models, sorted, those included of which nothing but a trace is left.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        let fail = |source| StoreError::Io { path: self.folder.clone(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(fail)? {
            let file = entry.map_err(fail)?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(MODEL));
            names.extend(name.filter(|name| check_name(name).is_ok()).map(String::from));
        }
        names.sort();
        Ok(names)
    }

    /// What is written down of a model's versions.
    fn versions(&self, name: &str) -> Result<Versions, StoreError> {
        let folder = self.model_folder(name)?;
        let fail = |source| StoreError::Io { path: folder.clone(), source };
        let mut versions = Versions::new();
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(versions),
            Err(error) => return Err(fail(error)),
        };
        for entry in entries {
            let path = entry.map_err(fail)?.path();
            let generation = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            let kind = path.extension().and_then(|kind| kind.to_str());
            let (Some(generation), Some(kind @ (STAGED | VERSION))) = (generation, kind) else { continue };
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                // It was swept away meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(source) => return Err(StoreError::Io { path, source }),
            };
            let damaged = |reason| StoreError::Damaged { path: path.clone(), reason };
            let version: Version = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
            if version.generation != generation {
                return Err(damaged(format!("it speaks of version {}", version.generation)));
            }
            let committed = kind == VERSION;
            let (_, known) = versions.entry(generation).or_insert((version.clone(), committed));
            if committed && !*known {
                versions.insert(generation, (version, true));
            }
        }
        Ok(versions)
    }

    /// The versions of a model, the newest first; none where nothing is known of it.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn kept(&self, name: &str) -> Result<Vec<Kept>, StoreError> {
        let versions = self.versions(name)?.into_values().rev();
        let kept = |(version, committed): (Version, bool)| {
            let trouble = self.trouble(name, &version)?;
            Ok(Kept { version, committed, trouble })
        };
        versions.map(kept).collect()
    }

    /// All models, sorted by their names.
    ///
    /// # Errors
    /// The folder cannot be read. A model that cannot be read is listed all the same: its operator must
    /// hear of it.
    pub fn models(&self) -> Result<Vec<Model>, StoreError> {
        let model = |name: String| {
            let versions = self.kept(&name).map_err(|error| error.to_string());
            Model { name, versions }
        };
        Ok(self.names()?.into_iter().map(model).collect())
    }

    /// Why a version is of no use, by the length of its file.
    fn trouble(&self, name: &str, version: &Version) -> Result<Option<String>, StoreError> {
        let Content::Deployed { digest, bytes, .. } = &version.content else { return Ok(None) };
        let path = self.part(name, digest)?;
        let reason = match std::fs::metadata(&path) {
            Ok(there) if there.len() == *bytes => return Ok(None),
            Ok(_) => "it is not as long as it was when it was deployed".to_string(),
            Err(error) => error.to_string(),
        };
        Ok(Some(StoreError::Damaged { path, reason }.to_string()))
    }

    /// The newest version that is committed, if that is a model.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn current(&self, name: &str) -> Result<Option<Kept>, StoreError> {
        Ok(used(&self.kept(name)?).cloned())
    }

    /// The file of a deployment that is committed under a name.
    fn committed(&self, name: &str, digest: &[u8; 32]) -> Result<Option<PathBuf>, StoreError> {
        let versions = self.versions(name)?;
        if !versions.values().any(|(_, committed)| *committed) {
            return Err(StoreError::Unknown(name.into()));
        }
        let is = |(version, committed): &(Version, bool)| *committed && version.content.digest() == *digest;
        versions.values().any(is).then(|| self.part(name, digest)).transpose()
    }

    /// What everybody may know of a model, where this deployment of it is committed; nothing where
    /// another one is.
    ///
    /// # Errors
    /// There is none of this name, or its file is damaged.
    pub fn deployment(&self, name: &str, digest: &[u8; 32]) -> Result<Option<Deployment>, StoreError> {
        let path = self.committed(name, digest)?;
        path.map(|path| file::deployment(&path, self.party)).transpose()
    }

    /// This party's part of a model, where this deployment of it is committed; nothing where another one
    /// is.
    ///
    /// # Errors
    /// There is none of this name, or its file is damaged.
    pub fn get(&self, name: &str, digest: &[u8; 32]) -> Result<Option<Part>, StoreError> {
        let path = self.committed(name, digest)?;
        path.map(|path| read_part(&path, self.party)).transpose()
    }

    /// Begins the file of a part that arrives. What was staged before and never committed gives its
    /// room back. `reserve` are the bytes of the disk that stay free; a share of it where nothing is said.
    ///
    /// # Errors
    /// It cannot be written, or there is no room for it.
    pub fn receive(
        &self,
        deployment: &Deployment,
        salts: &[[u8; 32]],
        lengths: &[u64],
        reserve: Option<u64>,
    ) -> Result<PartWriter, StoreError> {
        let _alone = self.change();
        let (name, digest) = (&deployment.name, deployment.digest());
        let folder = self.model_folder(name)?;
        std::fs::create_dir_all(&folder)
            .and_then(|()| restrict(&folder, 0o700))
            .map_err(|source| StoreError::Io { path: folder.clone(), source })?;
        let versions = self.versions(name)?;
        let wanted = versions.values().filter(|(_, committed)| *committed).map(|(version, _)| version);
        self.drop_parts(name, &wanted.collect::<Vec<_>>())?;
        let text = deployment.program.len() as u64;
        room::room(&folder, lengths.iter().fold(text, |sum, n| sum.saturating_add(*n)), reserve)?;
        PartWriter::begin(self.part(name, &digest)?, self.party, deployment, salts, lengths)
    }

    /// Stages a version: this party promises to take it.
    ///
    /// # Errors
    /// It cannot be written, or is not above all others.
    pub fn stage(&self, name: &str, version: &Version) -> Result<(), StoreError> {
        let _alone = self.change();
        let (generation, model) = (version.generation, name.to_string());
        let newest = self.versions(name)?.last_key_value().map_or(0, |(newest, _)| *newest);
        if generation <= newest {
            return Err(StoreError::NotNew { model, generation, newest });
        }
        if generation - newest > LEAP {
            return Err(StoreError::TooFar { model, generation, newest });
        }
        let folder = self.model_folder(name)?;
        std::fs::create_dir_all(&folder).map_err(|source| StoreError::Io { path: folder, source })?;
        self.write(name, version, STAGED)
    }

    /// A version that is staged or committed.
    pub fn version(&self, name: &str, generation: u64) -> Result<(Version, bool), StoreError> {
        let found = self.versions(name)?.remove(&generation);
        found.ok_or_else(|| StoreError::NotStaged { model: name.into(), generation })
    }

    /// Commits a version that is staged, with what all parties have signed of it. Whether it was not
    /// committed before.
    ///
    /// # Errors
    /// It is not staged, or cannot be written.
    pub fn commit(&self, name: &str, generation: u64, held: &[Held]) -> Result<bool, StoreError> {
        let _alone = self.change();
        let (mut version, committed) = self.version(name, generation)?;
        if committed {
            return Ok(false);
        }
        // What was staged may have had to give its room to a later one.
        if self.trouble(name, &version)?.is_some() {
            return Err(StoreError::NotStaged { model: name.into(), generation });
        }
        version.held = held.to_vec();
        self.write(name, &version, VERSION)?;
        let staged = self.record(name, generation, STAGED)?;
        removed(&staged)?;
        // What stays of it is of no use, and is swept away when the party starts.
        let _ = self.drop_stocks(name);
        if version.content == Content::Removed {
            // All parties have promised that there is no way back.
            self.keep_from(name, generation)?;
        }
        Ok(true)
    }

    /// All parties have committed these versions: of them, only so many of the newest are kept, and
    /// what is newer than all of them.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn settle(&self, name: &str, common: &[u64], keep: usize) -> Result<(), StoreError> {
        let mut newest: Vec<u64> = common.to_vec();
        newest.sort_unstable_by(|a, b| b.cmp(a));
        newest.truncate(keep);
        let Some(&current) = newest.first() else { return Ok(()) };
        let _alone = self.change();
        let versions = self.versions(name)?;
        // What others have and this party has not is no reason to give up what it has.
        if !newest.iter().all(|generation| versions.get(generation).is_some_and(|(_, committed)| *committed))
        {
            return Ok(());
        }
        let kept = |generation: u64| generation > current || newest.contains(&generation);
        self.keep(name, versions, kept)
    }

    /// Removes all versions before one.
    fn keep_from(&self, name: &str, first: u64) -> Result<(), StoreError> {
        self.keep(name, self.versions(name)?, |generation| generation >= first)
    }

    fn keep(&self, name: &str, mut versions: Versions, kept: impl Fn(u64) -> bool) -> Result<(), StoreError> {
        for generation in versions.extract_if(.., |generation, _| !kept(*generation)) {
            for kind in [STAGED, VERSION] {
                removed(&self.record(name, generation.0, kind)?)?;
            }
        }
        let wanted: Vec<_> = versions.values().map(|(version, _)| version).collect();
        self.drop_parts(name, &wanted)
    }

    /// Removes all parts but those of these versions.
    fn drop_parts(&self, name: &str, wanted: &[&Version]) -> Result<(), StoreError> {
        let folder = self.model_folder(name)?;
        let fail = |source| StoreError::Io { path: folder.clone(), source };
        let wanted: Vec<String> =
            wanted.iter().map(|version| hex::encode(version.content.digest())).collect();
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let digest = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let is_part = path.extension().is_some_and(|kind| kind == PART);
            if is_part && !wanted.iter().any(|wanted| wanted == digest) {
                removed(&path)?;
            }
        }
        Ok(())
    }

    /// Removes all that this party keeps under a name, at once: whether there was anything.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let _alone = self.change();
        let folder = self.model_folder(name)?;
        let gone = self.folder.join(format!(".{name}{}", repair::GONE));
        let fail = |path: &Path, source| StoreError::Io { path: path.into(), source };
        let _ = std::fs::remove_dir_all(&gone);
        match std::fs::rename(&folder, &gone) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(fail(&folder, error)),
            Ok(()) => synced(&folder),
        }
        std::fs::remove_dir_all(&gone).map_err(|error| fail(&gone, error))?;
        Ok(true)
    }

    fn write(&self, name: &str, version: &Version, kind: &str) -> Result<(), StoreError> {
        let path = self.record(name, version.generation, kind)?;
        let written = serde_json::to_vec_pretty(version)
            .map_err(std::io::Error::from)
            .and_then(|json| write_secret(&path, |writer| writer.write_all(&json)));
        written.map_err(|source| StoreError::Io { path, source })
    }
}

/// A file is not there when this returns.
fn removed(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(StoreError::Io { path: path.into(), source: error })
        }
        _ => Ok(()),
    }
}

/// A name that changed in a folder reaches the disk, where the file system can do that.
fn synced(path: &Path) {
    if let Some(Ok(folder)) = path.parent().map(std::fs::File::open) {
        let _ = folder.sync_all();
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
