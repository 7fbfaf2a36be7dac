//! One party a site: two that write one log and one store would break both.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The file that is locked, in the folder of the store.
const FILE: &str = "lock";

/// Longest thing that such a file says.
const LONGEST: u64 = 64;

/// Why a site is not a party's alone.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "another process{} runs the party of this site already: {} is locked. Stop it first, or give this party a site of its own",
        process.as_ref().map(|id| format!(", {id},")).unwrap_or_default(), path.display()
    )]
    Held {
        /// The file.
        path: PathBuf,
        /// The process's number, where the file says it.
        process: Option<String>,
    },
    /// The system does not lock it.
    #[error("{}: it cannot be locked: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A site that is this process's alone, as long as this lives. The system ends it with the process, however
/// that ends.
#[derive(Debug)]
pub struct SiteLock {
    _file: File,
}

impl SiteLock {
    /// The file of a store's lock, and the process that it names: that runs the site's party, or did once.
    pub fn named(store: &Path) -> Option<(PathBuf, u32)> {
        let path = store.join(FILE);
        let id = process(&mut File::open(&path).ok()?)?;
        Some((path, id))
    }

    /// Takes the site with this store.
    ///
    /// # Errors
    /// Another process has it, or the system does not lock files there.
    pub fn take(store: &Path) -> Result<SiteLock, LockError> {
        let path = store.join(FILE);
        let fail = |source| LockError::Io { path: path.clone(), source };
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = open.map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // Best effort: the refusal stands without it.
                let process = process(&mut file).map(|id| id.to_string());
                return Err(LockError::Held { path, process });
            }
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        written.map_err(fail)?;
        Ok(SiteLock { _file: file })
    }
}

/// The process that such a file names.
fn process(file: &mut File) -> Option<u32> {
    let mut said = String::new();
    file.take(LONGEST).read_to_string(&mut said).ok()?;
    said.trim().parse().ok()
}
