//! What a party does to its store when it starts: what was half done when it stopped is swept away, and
//! what an older version of this program kept is taken over.
//!
//! What is staged stays, however old it is: other parties may have it committed, and the next client
//! that comes brings what all have signed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{ARRIVING, PART, Store, StoreError, VERSION, file, removed, synced};
use crate::deployment::check_name;
use crate::versions::{Content, Version};

/// A model that is being removed has this behind its name, and a dot before it.
pub(super) const GONE: &str = ".removed";

/// The temporary files of records that were not written to their end.
pub(super) const PARTIAL: &str = "partial";

impl Store {
    /// Makes the store whole again. Returns what its operator should hear of.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn repair(&self) -> Result<Vec<String>, StoreError> {
        let _alone = self.change();
        let mut said = Vec::new();
        for path in entries(&self.folder)? {
            let file = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let done = if file.starts_with('.') && file.ends_with(GONE) {
                std::fs::remove_dir_all(&path).map_err(|source| StoreError::Io { path, source })
            } else if path.extension().is_some_and(|kind| kind == PARTIAL) {
                removed(&path)
            } else if path.extension().is_some_and(|kind| kind == PART) && path.is_file() {
                self.take_over(&path).map(|name| said.extend(name))
            } else {
                Ok(())
            };
            said.extend(done.err().map(|error| error.to_string()));
        }
        for name in self.names()? {
            said.extend(self.sweep(&name).err().map(|error| error.to_string()));
        }
        Ok(said)
    }

    /// Removes what arrived and was not whole, and parts that no version has.
    fn sweep(&self, name: &str) -> Result<(), StoreError> {
        let folder = self.model_folder(name)?;
        for path in entries(&folder)? {
            if path.extension().is_some_and(|kind| kind == ARRIVING || kind == PARTIAL) {
                removed(&path)?;
            }
        }
        let versions = self.versions(name)?;
        for (generation, (_, committed)) in &versions {
            if *committed {
                removed(&self.record(name, *generation, super::STAGED)?)?;
            }
        }
        self.drop_stocks(name)?;
        self.sweep_stocks(name)?;
        self.drop_parts(name, &versions.values().map(|(version, _)| version).collect::<Vec<_>>())?;
        if versions.is_empty() {
            // Only where nothing is left in it.
            let _ = std::fs::remove_dir(&folder);
        }
        Ok(())
    }

    /// A model of the time when a party kept one file of each, `NAME.part`: its version 1.
    fn take_over(&self, path: &Path) -> Result<Option<String>, StoreError> {
        let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        if check_name(name).is_err() {
            return Ok(None);
        }
        let deployment = file::deployment(path, self.party)?;
        let fail = |source| StoreError::Io { path: path.into(), source };
        let there = std::fs::metadata(path).map_err(fail)?;
        let (digest, protocol, bytes) = (deployment.digest(), deployment.protocol, there.len());
        let since = there.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let content = Content::Deployed { digest, protocol, bytes };
        let versions = self.versions(name)?;
        let other = |version: &Version| version.generation != 1 || version.content != content;
        if versions.values().any(|(version, _)| other(version)) {
            return Ok(Some(format!(
                "{}: an older version of this program kept it, and {name:?} was deployed since; remove the file",
                path.display()
            )));
        }
        let part = self.part(name, &digest)?;
        if let Some(folder) = part.parent() {
            std::fs::create_dir_all(folder).and_then(|()| super::restrict(folder, 0o700)).map_err(fail)?;
        }
        let time = since.map(|since| since.as_secs()).unwrap_or_default();
        let version =
            Version { generation: 1, content, time, client: String::new(), owner: [0; 32], held: Vec::new() };
        // The record first: a file that was moved and has none would be swept away.
        self.write(name, &version, VERSION)?;
        std::fs::rename(path, &part).map_err(fail)?;
        synced(&part);
        Ok(Some(format!("{name} was kept by an older version of this program: it is version 1 now")))
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let fail = |source| StoreError::Io { path: folder.into(), source };
    let entries = std::fs::read_dir(folder).map_err(fail)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(fail)).collect()
}
