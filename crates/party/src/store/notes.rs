//! What a party's operator has done to its store with a command while the party ran: noted beside the models, until the
//! party, which alone writes its log, has written it down.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cryptflow_program::write_secret;
use serde::{Deserialize, Serialize};

use super::repair::PARTIAL;
use super::{Store, StoreError, removed, restrict};
use crate::deployment::check_name;

/// The folder of the notes, in that of the store.
const NOTES: &str = "notes";

/// That all that the party kept of a model was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// The model.
    pub model: String,
    /// When: seconds since 1970.
    pub time: u64,
}

impl Removal {
    /// Of this model, now.
    pub fn now(model: &str) -> Removal {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map(|t| t.as_secs()).unwrap_or_default();
        Removal { model: model.into(), time }
    }

    /// What the audit log says of it, as the event [`Removal::EVENT`].
    pub fn fields(&self) -> serde_json::Value {
        let by = "the operator of this party, here alone";
        serde_json::json!({ "model": self.model, "by": by, "removed": self.time })
    }

    /// The event in the audit log.
    pub const EVENT: &str = "removed";
}

impl Store {
    fn notes(&self) -> PathBuf {
        self.folder.join(NOTES)
    }

    /// Leaves a note for the party that runs here.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note(&self, removal: &Removal) -> Result<(), StoreError> {
        let folder = self.notes();
        let fail = |path: &Path| {
            let path = path.to_path_buf();
            move |source| StoreError::Io { path, source }
        };
        std::fs::create_dir_all(&folder).and_then(|()| restrict(&folder, 0o700)).map_err(fail(&folder))?;
        let path = folder.join(format!("{}-{}", removal.model, removal.time));
        let json = serde_json::to_vec(removal).map_err(|error| fail(&path)(error.into()))?;
        write_secret(&path, |writer| writer.write_all(&json)).map_err(fail(&path))
    }

    /// Takes up what is noted: each note goes once `take` has written it down.
    ///
    /// # Errors
    /// Notes cannot be read or removed, or `take` fails; what was not taken stays.
    pub fn take_notes(
        &self,
        mut take: impl FnMut(&Removal) -> std::io::Result<()>,
    ) -> Result<(), StoreError> {
        let folder = self.notes();
        let fail = |source| StoreError::Io { path: folder.clone(), source };
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(fail(error)),
        };
        let _alone = self.change();
        for entry in entries {
            let path = entry.map_err(fail)?.path();
            if path.extension().is_some_and(|kind| kind == PARTIAL) {
                // One that is being written.
                continue;
            }
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                // Somebody else has taken it up.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(source) => return Err(StoreError::Io { path, source }),
            };
            let damaged = |reason| StoreError::Damaged { path: path.clone(), reason };
            let removal: Removal = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
            check_name(&removal.model).map_err(|error| damaged(error.to_string()))?;
            take(&removal).map_err(|source| StoreError::Io { path: path.clone(), source })?;
            removed(&path)?;
        }
        Ok(())
    }
}
