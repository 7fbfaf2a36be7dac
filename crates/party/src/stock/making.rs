//! Making a stock.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use cryptflow_mpc::Party;
use cryptflow_mpc::keys::{Fresh, random};
use cryptflow_program::write_secret;
use cryptflow_wire::Keeper;
use zeroize::Zeroizing;

use super::ledger::Ledger;
use super::shelf::sweep_one;
use super::{LABEL, Label, MAKING, MESSAGES, SECRET, SECRET_LEN, StockError, file_of, guard, number, synced};
use crate::store::{free, restrict};

/// What marks a folder as one that backups leave out (bford.info/cachedir).
const TAG: &str = "CACHEDIR.TAG";
const TAGGED: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
                      # Dealt runs that serve once: a copy of this folder is refused.\n";

/// A file that is there, and locked as long as it is open.
fn locked(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    file.lock()?;
    Ok(file)
}

/// A stock that grows.
pub(crate) struct Making {
    folder: PathBuf,
    label: Label,
    /// Locked as long as it grows.
    growing: File,
}

impl Making {
    /// Begins a stock in a folder that does not exist, or is empty. `needed` is how many bytes all runs
    /// will take.
    ///
    /// # Errors
    /// There is something in the folder, it cannot be written to, or the disk has no room.
    pub(crate) fn begin(folder: &Path, label: Label, needed: u64) -> Result<Making, StockError> {
        let fail = |source| StockError::Io { path: folder.into(), source };
        std::fs::create_dir_all(folder).map_err(fail)?;
        if std::fs::read_dir(folder).map_err(fail)?.next().is_some() {
            return Err(StockError::Exists(folder.into()));
        }
        restrict(folder, 0o700).map_err(fail)?;
        if let Some(free) = free(folder).filter(|free| *free < needed) {
            return Err(StockError::NoSpace { folder: folder.into(), needed, free });
        }
        let growing = locked(&folder.join(MAKING)).map_err(fail)?;
        let making = Making { folder: folder.into(), label, growing };
        making.write(TAG, TAGGED.as_bytes())?;
        Ledger::create(folder, &making.label.stock)?;
        let label = serde_json::to_vec_pretty(&making.label)
            .map_err(|error| StockError::Damaged { folder: folder.into(), reason: error.to_string() })?;
        making.write(LABEL, &label)?;
        Ok(making)
    }

    /// The file of this name in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// It grows no more, as this came of it: what is whole stays, and nothing where no run is.
    ///
    /// # Errors
    /// What it was given.
    pub(crate) fn end<E>(self, made: Result<(), E>) -> Result<(), E> {
        let Making { folder, growing, .. } = self;
        drop(growing);
        // What stays is found by the next dealing.
        let _ = sweep_one(&folder);
        made
    }

    /// Writes a run, message by message as `dealt` gives them, behind the key with the dealer. It is on the
    /// disk when this returns.
    ///
    /// # Errors
    /// It cannot be written, or `dealt` fails: there is no such run then.
    pub(super) fn run<E: From<StockError>>(
        &self,
        run: u64,
        dealer: Party,
        key: &Fresh,
        dealt: impl FnOnce(&mut dyn FnMut(Vec<u8>) -> Result<(), StockError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = self.path(&file_of(run, MESSAGES));
        let fail = |source| StockError::Io { path: path.clone(), source };
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        random(secret.as_mut_slice()).map_err(|error| fail(std::io::Error::other(error.to_string())))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let own = Party::new(self.label.party);
        let guard = guard(&secret, number(&self.label.stock, run), dealer, own);
        let mut keeper = options.open(&path).and_then(|file| Keeper::new(file, guard)).map_err(fail)?;
        keeper.keep(key.to_bytes().to_vec()).map_err(fail)?;
        dealt(&mut |message| keeper.keep(message).map_err(fail))?;
        keeper.finish().map_err(fail)?;
        // Without it the messages are none: so the run is there when all of it is.
        self.write(&file_of(run, SECRET), secret.as_slice())?;
        synced(&self.folder);
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StockError> {
        let path = self.path(name);
        let written = write_secret(&path, |writer| writer.write_all(bytes));
        written.map_err(|source| StockError::Io { path, source })
    }
}
