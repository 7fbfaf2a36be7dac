//! Runs that were dealt ahead, in the folder of their model: `DIGEST.dealt` has the stocks of a deployment.

use std::path::PathBuf;

use super::{Store, StoreError};
use crate::ahead::is_between;
use crate::config::Config;
use crate::stock::{self, Stocked};
use crate::versions::{Content, used};

/// The folder of a deployment's stocks ends in this.
pub(super) const DEALT: &str = "dealt";

impl Store {
    fn shelf(&self, name: &str, deployment: &[u8; 32]) -> Result<PathBuf, StoreError> {
        Ok(self.model_folder(name)?.join(format!("{}.{DEALT}", hex::encode(deployment))))
    }

    /// The folder of a stock of this deployment, whether there is one or not.
    ///
    /// # Errors
    /// No model can have this name.
    pub fn stock(&self, name: &str, deployment: &[u8; 32], stock: &[u8; 32]) -> Result<PathBuf, StoreError> {
        Ok(self.shelf(name, deployment)?.join(hex::encode(stock)))
    }

    /// The stocks of the version of a model that is used, at the party with this configuration; none where no version
    /// is.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn stocks(&self, name: &str, config: &Config) -> Result<Vec<Stocked>, StoreError> {
        match used(&self.kept(name)?).map(|kept| &kept.version.content) {
            Some(Content::Deployed { digest, .. }) => {
                let serves = |label: &_| is_between(config, label);
                Ok(stock::stocked(&self.shelf(name, digest)?, name, digest, serves)?)
            }
            Some(Content::Removed) | None => Ok(Vec::new()),
        }
    }

    /// Bytes that stocks of all models take.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn stocked_bytes(&self) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for name in self.names()? {
            for folder in self.shelves(&name)? {
                bytes += stock::bytes(&folder);
            }
        }
        Ok(bytes)
    }

    /// Removes of a model's stocks those that are used up, and what was not dealt to its end.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub(crate) fn sweep_stocks(&self, name: &str) -> Result<(), StoreError> {
        self.shelves(name)?.iter().try_for_each(|folder| Ok(stock::sweep(folder)?))
    }

    /// Removes all stocks of a model but those of the version that is used: what was dealt for one that is replaced goes,
    /// even if it comes back.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub(super) fn drop_stocks(&self, name: &str) -> Result<(), StoreError> {
        let newest = self.versions(name)?.into_values().rev().find(|(_, committed)| *committed);
        let kept = newest.map(|(version, _)| self.shelf(name, &version.content.digest())).transpose()?;
        for folder in self.shelves(name)?.into_iter().filter(|folder| Some(folder) != kept.as_ref()) {
            std::fs::remove_dir_all(&folder).map_err(|source| StoreError::Io { path: folder, source })?;
        }
        Ok(())
    }

    /// The folders with stocks, one a deployment.
    fn shelves(&self, name: &str) -> Result<Vec<PathBuf>, StoreError> {
        let folder = self.model_folder(name)?;
        let fail = |source| StoreError::Io { path: folder.clone(), source };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.extension().is_some_and(|kind| kind == DEALT) {
                found.push(path);
            }
        }
        Ok(found)
    }
}
