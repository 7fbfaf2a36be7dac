//! The ledger of a stock: which runs are taken.
//!
//! Its first line says of which stock it is, and which file it is itself: a copy of it is another file. Each
//! further line is the number of a run: this one and all before it are taken. Lines are added, and on the
//! disk before the run is used; what follows the last end of a line was never acted on.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{LEDGER, StockError, synced};

/// Longest ledger: so many lines no stock has.
const LONGEST: u64 = 64 << 20;

/// How long a session waits for others that take a run: they wait for one another, but not for clients.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks.
const GLANCE: Duration = Duration::from_millis(1);

/// The first line.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(with = "hex::serde")]
    stock: [u8; 32],
    file: Itself,
}

/// Which file of its file system it is, as far as the system says.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Itself {
    inode: Option<u64>,
    /// When it was made, in nanoseconds since 1970.
    made: Option<u64>,
}

impl Itself {
    fn of(metadata: &Metadata) -> Itself {
        #[cfg(unix)]
        let inode = Some(std::os::unix::fs::MetadataExt::ino(metadata));
        #[cfg(not(unix))]
        let inode = None;
        let made = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        Itself { inode, made: made.and_then(|made| u64::try_from(made.as_nanos()).ok()) }
    }
}

/// A ledger that this process alone writes.
pub(super) struct Ledger {
    file: File,
    folder: PathBuf,
    taken: u64,
}

impl Ledger {
    /// Begins the ledger of a stock.
    pub(super) fn create(folder: &Path, stock: &[u8; 32]) -> Result<(), StockError> {
        let path = folder.join(LEDGER);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&path).and_then(|mut file| {
            let head = Head { stock: *stock, file: Itself::of(&file.metadata()?) };
            let mut line = serde_json::to_vec(&head)?;
            line.push(b'\n');
            file.write_all(&line)?;
            file.sync_all()
        });
        written.map_err(|source| StockError::Io { path, source })?;
        synced(folder);
        Ok(())
    }

    /// Opens it, to take a run, once nobody else does.
    pub(super) fn open(folder: &Path, stock: &[u8; 32]) -> Result<Ledger, StockError> {
        let mut file = Ledger::file(folder, OpenOptions::new().read(true).write(true))?;
        let end = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(GLANCE),
                Err(TryLockError::WouldBlock) => return Err(StockError::Held(folder.into())),
                Err(TryLockError::Error(source)) => {
                    return Err(StockError::Io { path: folder.join(LEDGER), source });
                }
            }
        }
        let (taken, end) = read(&mut file, folder, stock)?;
        // What a crash left behind the last line goes, so that the next line begins at its beginning.
        let cut = file.set_len(end).and_then(|()| file.seek(SeekFrom::Start(end)));
        cut.map_err(|source| StockError::Io { path: folder.join(LEDGER), source })?;
        Ok(Ledger { file, folder: folder.into(), taken })
    }

    /// The last run that is taken, for whoever takes none.
    pub(super) fn look(folder: &Path, stock: &[u8; 32]) -> Result<u64, StockError> {
        read(&mut Ledger::file(folder, OpenOptions::new().read(true))?, folder, stock).map(|(taken, _)| taken)
    }

    fn file(folder: &Path, options: &OpenOptions) -> Result<File, StockError> {
        let path = folder.join(LEDGER);
        options.open(&path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => StockError::Damaged {
                folder: folder.into(),
                reason: format!("its {LEDGER} is gone, and with it what says which runs are used"),
            },
            _ => StockError::Io { path, source },
        })
    }

    /// The last run that is taken; zero where none is.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes a run, and all before it. It is on the disk when this returns.
    pub(super) fn mark(&mut self, run: u64) -> Result<(), StockError> {
        let written = self.file.write_all(format!("{run}\n").as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(|source| StockError::Io { path: self.folder.join(LEDGER), source })?;
        self.taken = run;
        Ok(())
    }
}

/// The last run that is taken, and the length of all whole lines.
fn read(file: &mut File, folder: &Path, stock: &[u8; 32]) -> Result<(u64, u64), StockError> {
    let path = || folder.join(LEDGER);
    let damaged = |reason: &str| StockError::Damaged { folder: folder.into(), reason: reason.into() };
    let mut text = Vec::new();
    let metadata = file.metadata().map_err(|source| StockError::Io { path: path(), source })?;
    file.take(LONGEST).read_to_end(&mut text).map_err(|source| StockError::Io { path: path(), source })?;
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut lines = text.get(..end).unwrap_or_default().split(|byte| *byte == b'\n');
    let head: Head = lines
        .next()
        .and_then(|line| serde_json::from_slice(line).ok())
        .ok_or_else(|| damaged("its ledger does not say whose it is"))?;
    if head.stock != *stock {
        return Err(damaged("its ledger is that of another stock"));
    }
    if head.file != Itself::of(&metadata) {
        return Err(StockError::Copied(folder.into()));
    }
    let mut taken = 0;
    // Behind the last end of a line there is nothing.
    for line in lines.filter(|line| !line.is_empty()) {
        let run = std::str::from_utf8(line).ok().and_then(|line| line.parse::<u64>().ok());
        match run.filter(|run| *run > taken) {
            Some(run) => taken = run,
            None => return Err(damaged("its ledger has a line that is no further run")),
        }
    }
    Ok((taken, end as u64))
}
