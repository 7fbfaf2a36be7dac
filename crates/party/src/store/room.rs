//! Room on the disk of a store: what clients bring leaves some of it to the party, which could not write its log
//! otherwise.

use std::path::{Path, PathBuf};

use super::StoreError;
use crate::limits::size;

/// Of a disk, one in so many bytes stays free where nothing is configured, and no more than this.
const SHARE: u64 = 20;
const MOST: u64 = 1 << 30;

/// What there is no room for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: No space left on device for another {}: {} are free, of which {} stay so (models.reserve_mb). Make room, or remove \
     models",
    folder.display(), size(*needed), size(*free), size(*reserve)
)]
pub struct NoSpace {
    /// The folder.
    pub folder: PathBuf,
    /// Bytes that would come.
    pub needed: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that stay free.
    pub reserve: u64,
}

/// Bytes that are free on a folder's disk, where the system says.
pub(crate) fn free(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let system = rustix::fs::statvfs(folder).ok()?;
        Some(system.f_bavail.saturating_mul(system.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

/// Whether a folder's disk has room for so many bytes, and the reserve: what is configured, or a share of the disk. A
/// system that does not say is taken to have it: what is full is found out while writing.
pub(crate) fn room(folder: &Path, needed: u64, reserve: Option<u64>) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        let Ok(system) = rustix::fs::statvfs(folder) else { return Ok(()) };
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let all = system.f_blocks.saturating_mul(system.f_frsize);
        let reserve = reserve.unwrap_or((all / SHARE).min(MOST));
        if needed > free.saturating_sub(reserve) {
            return Err(NoSpace { folder: folder.into(), needed, free, reserve }.into());
        }
        Ok(())
    }
    #[cfg(not(unix))]
    {
        let _ = (folder, needed, reserve, SHARE, MOST);
        Ok(())
    }
}
