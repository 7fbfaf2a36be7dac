//! Files that a command would write over what it reads, or over each other.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Refuses where a file that is written is one that is read, or another one that is written. Each
/// comes with what it is: an option's name, say.
pub(super) fn refuse(written: &[(&str, &Path)], read: &[(&str, &Path)]) -> Result<()> {
    for (index, &(option, path)) in written.iter().enumerate() {
        let Some(target) = place(path) else { continue };
        let others = read.iter().chain(written.iter().skip(index + 1));
        if let Some((what, _)) = others.into_iter().find(|(_, other)| place(other).as_ref() == Some(&target))
        {
            let reason =
                format!("{option} would write over {what}, which is the same file; give another name");
            return Err(Error::at(path, reason));
        }
    }
    Ok(())
}

/// Where a file is, or would be, whatever it is called; nothing for what is no file: a device can
/// be written to and read from.
fn place(path: &Path) -> Option<PathBuf> {
    if path.exists() {
        return path.canonicalize().ok().filter(|path| path.is_file());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(folder.canonicalize().ok()?.join(path.file_name()?))
}
