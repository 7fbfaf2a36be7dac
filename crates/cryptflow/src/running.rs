//! The processes of a party that run on this machine, and the word to them that they read their configuration
//! again.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cryptflow_party::SiteLock;
use cryptflow_party::config::Config;

use crate::error::{Error, Result};

/// How long a party may take to say what it has made of its configuration.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at what it says.
const GLANCE: Duration = Duration::from_millis(50);

/// The process of one lane.
pub struct Running {
    /// Its number.
    pub id: u32,
    process: process::Process,
    audit: PathBuf,
}

/// What a party has made of its configuration.
#[derive(Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// It goes on with it; what has changed.
    Taken(Vec<String>),
    /// It does not; why.
    Refused(String),
}

/// The processes that run a party's lanes on this machine.
///
/// # Errors
/// One seems to, and it cannot be told whether.
pub fn running(config: &Config) -> Result<Vec<Running>> {
    let mut found = Vec::new();
    for lane in 0..config.lane.1 {
        let lane = config.at_lane(lane).map_err(Error::new)?;
        let Some((lock, id)) = SiteLock::named(&lane.store) else { continue };
        if let Some(process) = process::Process::holding(&lock, id)? {
            found.push(Running { id, process, audit: lane.audit });
        }
    }
    Ok(found)
}

impl Running {
    /// Has it read its configuration again (SIGHUP), and waits for what comes of that; nothing where its log is no
    /// ordinary file, or where it says nothing for a while.
    ///
    /// # Errors
    /// The system does not let it be told.
    pub fn reload(&self) -> Result<Option<Reloaded>> {
        let written = std::fs::metadata(&self.audit).ok().filter(std::fs::Metadata::is_file);
        self.process.hang_up().map_err(|e| Error::new(format!("process {} cannot be told: {e}", self.id)))?;
        let Some(written) = written else { return Ok(None) };
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let said = read_from(&self.audit, written.len()).map_err(|e| Error::at(&self.audit, e))?;
            if let Some(reloaded) = said.lines().find_map(of_entry) {
                return Ok(Some(reloaded));
            }
            std::thread::sleep(GLANCE);
        }
        Ok(None)
    }
}

/// What stands in a file from some byte on.
fn read_from(path: &Path, start: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    // The end may be in the middle of a character.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What an entry of a party's log says of its configuration.
fn of_entry(line: &str) -> Option<Reloaded> {
    // The last one may be half written.
    let entry: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |value: &serde_json::Value| value.as_str().map(String::from);
    match entry.get("event")?.as_str()? {
        "reloaded" => {
            Some(Reloaded::Taken(entry.get("changes")?.as_array()?.iter().filter_map(text).collect()))
        }
        "not-reloaded" => entry.get("reason").and_then(text).map(Reloaded::Refused),
        // Whatever else happens meanwhile.
        _ => None,
    }
}

#[cfg(target_os = "linux")]
mod process {
    use std::fs;
    use std::io::ErrorKind;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use crate::error::{Error, Result};

    /// A process, and no other that gets its number after it.
    pub(super) struct Process(OwnedFd);

    impl Process {
        /// The process of this number, where it has the lock open: a file that names a process may be an older one's, or
        /// another machine's.
        pub(super) fn holding(lock: &Path, id: u32) -> Result<Option<Process>> {
            let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
            let Some(process) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
                return Ok(None);
            };
            let lock = fs::metadata(lock).map_err(|e| Error::at(lock, e))?;
            let files = match fs::read_dir(format!("/proc/{id}/fd")) {
                Ok(files) => files,
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
                Err(e) => {
                    return Err(Error::new(format!(
                        "process {id} may run this party, and may not be looked at ({e}): be the user who runs it, or root. \
                         Where it does, kill -HUP {id} has it read its configuration again"
                    )));
                }
            };
            let same = |file: fs::Metadata| (file.dev(), file.ino()) == (lock.dev(), lock.ino());
            let mut open = files.flatten().filter_map(|file| fs::metadata(file.path()).ok());
            Ok(open.any(same).then_some(Process(process)))
        }

        pub(super) fn hang_up(&self) -> std::io::Result<()> {
            Ok(pidfd_send_signal(&self.0, Signal::HUP)?)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod process {
    use std::path::Path;

    use crate::error::Result;

    /// Of which nothing can be known for sure here.
    pub(super) enum Process {}

    impl Process {
        pub(super) fn holding(_: &Path, _: u32) -> Result<Option<Process>> {
            Ok(None)
        }

        pub(super) fn hang_up(&self) -> std::io::Result<()> {
            match *self {}
        }
    }
}
