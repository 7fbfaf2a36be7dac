//! Writing files whole, or not at all.

use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes a file through a temporary one beside it, which takes its place only once everything is
/// on the disk: who reads `path` sees the old content or the new one, never a part. A device or a
/// pipe is written to as it is.
///
/// # Errors
/// Where the folder cannot be written to or the disk is full; a file that was there stays as it
/// was.
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<()> {
    write_for(path, EVERYBODY, write)
}

/// The same, but nobody but its owner can read the file or write to it, from its first byte on.
///
/// # Errors
/// As [`write_whole`].
pub fn write_secret(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<()> {
    write_for(path, OWNER, write)
}

/// The rights of an ordinary new file: the process' umask applies.
const EVERYBODY: u32 = 0o666;
/// The rights of one that holds secrets.
const OWNER: u32 = 0o600;

fn write_for(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<()> {
    check_kind(path)?;
    if let Some(device) = device(path)? {
        let mut writer = BufWriter::new(device);
        write(&mut writer)?;
        return writer.flush();
    }
    let mut writer = BufWriter::new(temporary(path, mode)?);
    write(&mut writer)?;
    let temporary = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|e| e.error)?;
    // The new name must reach the disk, too. Some file systems cannot do that for a folder; the
    // file is whole anyway.
    if let Ok(folder) = std::fs::File::open(folder(path)) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Whether a file could be written at `path`, so that long work does not end in vain. Writes
/// nothing.
///
/// # Errors
/// Where `path` is a folder, or its folder does not exist or cannot be written to.
pub fn check_writable(path: &Path) -> std::io::Result<()> {
    check_kind(path)?;
    if device(path)?.is_none() {
        temporary(path, OWNER)?;
    }
    Ok(())
}

fn check_kind(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Err(std::io::Error::new(std::io::ErrorKind::IsADirectory, "it is a folder"));
    }
    let folder = folder(path);
    if !folder.is_dir() {
        let what = if folder.exists() { "is no folder" } else { "does not exist" };
        let reason = format!("the folder {} {what}", folder.display());
        return Err(std::io::Error::new(std::io::ErrorKind::NotFound, reason));
    }
    Ok(())
}

/// What is at `path` already, opened, where that is no ordinary file: it must not be replaced by
/// one.
fn device(path: &Path) -> std::io::Result<Option<std::fs::File>> {
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() => std::fs::OpenOptions::new().write(true).open(path).map(Some),
        _ => Ok(None),
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary(path: &Path, mode: u32) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".cryptflow-").suffix(".partial");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    builder.tempfile_in(folder(path)).map_err(|error| {
        // The name of the temporary file, which the message would have, is not the caller's.
        let reason = error.get_ref().and_then(|inner| inner.source()).map(ToString::to_string);
        let reason = reason.unwrap_or_else(|| error.kind().to_string());
        std::io::Error::new(error.kind(), format!("nothing can be created in its folder: {reason}"))
    })
}
