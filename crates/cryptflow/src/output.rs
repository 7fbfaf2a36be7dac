//! Writing results: whole, or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::npy::{self, Tensor};

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}; nothing was left there", file.display())]
pub struct OutputError {
    /// The file.
    pub file: PathBuf,
    /// The operating system's reason.
    pub source: std::io::Error,
}

/// Writes a tensor as `.npy`, all of it or nothing.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_npy(file: &Path, tensor: &Tensor) -> Result<(), OutputError> {
    write_atomically(file, |writer| npy::write_npy(writer, tensor))
}

/// Writes a file through a temporary one beside it, which takes its place only once everything is on the disk: who
/// reads `file` sees the old content or the new one, never a part. A device or a pipe is written to as it is.
///
/// # Errors
/// Where the folder cannot be written to or the disk is full; a file that was there stays as it was.
pub fn write_atomically(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), OutputError> {
    attempt(file, write).map_err(|source| OutputError { file: file.to_path_buf(), source })
}

fn attempt(file: &Path, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> std::io::Result<()> {
    if let Ok(there) = std::fs::metadata(file)
        && !there.is_file()
    {
        let mut writer = std::io::BufWriter::new(std::fs::OpenOptions::new().write(true).open(file)?);
        write(&mut writer)?;
        return writer.flush();
    }
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".cryptflow-").suffix(".part");
    #[cfg(unix)]
    {
        // As any new file: what the umask leaves.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        builder.permissions(mode);
    }
    let mut writer = std::io::BufWriter::new(builder.tempfile_in(folder)?);
    write(&mut writer)?;
    let temporary = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    temporary.as_file().sync_all()?;
    temporary.persist(file).map_err(|e| e.error)?;
    // The new name must reach the disk, too; some file systems cannot do it for a folder, and the file is whole anyway.
    if let Ok(folder) = std::fs::File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("y.npy");
        let tensor = Tensor { shape: vec![1, 2], data: vec![1.0, 2.0] };
        write_npy(&file, &tensor).unwrap();
        let first = std::fs::read(&file).unwrap();
        assert!(first.starts_with(b"\x93NUMPY"));

        let error = write_atomically(&file, |w| {
            w.write_all(&[0; 100_000])?;
            Err(std::io::Error::other("the disk is full"))
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("y.npy") && error.contains("the disk is full"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), first, "the old content stays");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else stays");

        let error = write_npy(&folder.path().join("no/such/folder.npy"), &tensor).unwrap_err().to_string();
        assert!(error.contains("folder.npy"), "{error}");
        assert!(write_npy(folder.path(), &tensor).is_err(), "a folder is no file");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_and_stays_a_device() {
        let full = Path::new("/dev/full");
        if !full.exists() {
            println!("skipped: there is no /dev/full");
            return;
        }
        let tensor = Tensor { shape: vec![2], data: vec![1.0, 2.0] };
        let error = write_npy(full, &tensor).unwrap_err().to_string();
        assert!(error.contains("/dev/full"), "{error}");
        assert!(!std::fs::metadata(full).unwrap().is_file());
    }
}
