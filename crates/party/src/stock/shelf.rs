//! The stocks of a deployment: a folder each, in one folder, by the numbers of their dealings.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use cryptflow_protocols::ProtocolName;
use serde::{Deserialize, Serialize};

use super::{KEYS, Label, Left, MAKING, MESSAGES, SECRET, StockError, look};

/// A stock, as an evaluator keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stocked {
    /// The model's name.
    pub model: String,
    /// Digest of the deployment.
    pub deployment: [u8; 32],
    /// The number of the dealing.
    pub stock: [u8; 32],
    /// Bytes on the disk.
    pub bytes: u64,
    /// What it is for; or why it is of no use.
    pub found: Result<Found, String>,
}

impl Stocked {
    /// How many runs are left, of those that are of use.
    pub fn left(&self) -> u64 {
        self.found.as_ref().map_or(0, |found| Left { next: found.next, last: found.last }.count())
    }
}

/// What a stock is for, and what is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The protocol.
    pub protocol: ProtocolName,
    /// Whether the runs begin with the check of inputs.
    pub check_inputs: bool,
    /// The next run.
    pub next: u64,
    /// The last one; below the next one where none is left.
    pub last: u64,
}

/// The folders of all stocks in this one.
fn folders(shelf: &Path) -> Result<Vec<PathBuf>, StockError> {
    let fail = |source| StockError::Io { path: shelf.into(), source };
    let entries = match std::fs::read_dir(shelf) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(fail));
    let mut paths = paths.collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

/// The number that a stock's folder is called by.
fn number(folder: &Path) -> Option<[u8; 32]> {
    let mut number = [0; 32];
    hex::decode_to_slice(folder.file_name()?.to_str()?, &mut number).ok()?;
    Some(number)
}

/// The stocks of a deployment, in the order of their numbers; of use is what `serves` the evaluators of now.
///
/// # Errors
/// The folder cannot be read. A stock that is of no use is listed all the same.
pub(crate) fn stocked(
    shelf: &Path,
    model: &str,
    deployment: &[u8; 32],
    serves: impl Fn(&Label) -> bool,
) -> Result<Vec<Stocked>, StockError> {
    let mut all = Vec::new();
    for folder in folders(shelf)? {
        let Some(stock) = number(&folder) else { continue };
        let found = look(&folder).and_then(|(label, left)| {
            if !serves(&label) {
                return Err(StockError::Different { folder: folder.clone(), what: KEYS });
            }
            let Label { protocol, check_inputs, .. } = label;
            if (label.stock, label.deployment) != (stock, *deployment) {
                return Err(StockError::Different {
                    folder: folder.clone(),
                    what: "program, or other weights",
                });
            }
            Ok(Found { protocol, check_inputs, next: left.next, last: left.last })
        });
        let (model, deployment, bytes) = (model.to_string(), *deployment, bytes(&folder));
        all.push(Stocked {
            model,
            deployment,
            stock,
            bytes,
            found: found.map_err(|error| error.to_string()),
        });
    }
    Ok(all)
}

/// Bytes of the files in a folder, and in those in it; of those that can be looked at.
pub(crate) fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(there) if there.is_dir() => bytes(&entry.path()),
        Ok(there) => there.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// Removes what was not dealt to its end, and stocks that are used up, but for those that grow.
///
/// # Errors
/// Something cannot be read, or removed.
pub(crate) fn sweep(shelf: &Path) -> Result<(), StockError> {
    folders(shelf)?.iter().filter(|folder| number(folder).is_some()).try_for_each(|folder| sweep_one(folder))
}

/// The same of one stock.
pub(super) fn sweep_one(folder: &Path) -> Result<(), StockError> {
    let fail = |path: &Path, source| StockError::Io { path: path.into(), source };
    let marker = folder.join(MAKING);
    match File::open(&marker) {
        Ok(growing) => match growing.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(fail(&marker, source)),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(fail(&marker, source)),
    }
    for path in folders(folder)? {
        // Of a run, the secret comes last.
        let cut =
            path.extension().is_some_and(|kind| kind == MESSAGES) && !path.with_extension(SECRET).exists();
        if cut || path == marker {
            std::fs::remove_file(&path).map_err(|source| fail(&path, source))?;
        }
    }
    match look(folder) {
        Ok((_, left)) if left.count() > 0 => Ok(()),
        // One that was never begun to its end has none that is whole, either.
        Ok(_) | Err(StockError::None(_)) => {
            std::fs::remove_dir_all(folder).map_err(|source| fail(folder, source))
        }
        // Its operator must hear of it.
        Err(_) => Ok(()),
    }
}
