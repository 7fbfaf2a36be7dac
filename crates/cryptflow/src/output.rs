//! Writing results: whole, or not at all.

use std::path::{Path, PathBuf};

use cryptflow_program::write_whole;

use cryptflow_arrays::npy::{self, Written};

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}; nothing was left there", file.display())]
pub struct OutputError {
    /// The file.
    pub file: PathBuf,
    /// The operating system's reason.
    pub source: std::io::Error,
}

/// Whether a file of this name is an archive of arrays, `.npz`; it is a single array, `.npy`,
/// otherwise.
pub fn is_archive(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"))
}

/// Writes a tensor as `.npy`, all of it or nothing.
///
/// # Errors
/// Where the folder cannot be written to or the disk is full; a file that was there stays as it
/// was.
pub fn write_npy<'a>(file: &Path, tensor: impl Into<Written<'a>>) -> Result<(), OutputError> {
    let tensor = tensor.into();
    write_whole(file, |writer| npy::write_npy(writer, tensor))
        .map_err(|source| OutputError { file: file.to_path_buf(), source })
}

/// Writes tensors by name as `.npz`, all of them or nothing.
///
/// # Errors
/// As [`write_npy`]; and where two have the same name.
pub fn write_npz(file: &Path, tensors: &[(&str, Written<'_>)]) -> Result<(), OutputError> {
    write_whole(file, |writer| npy::write_npz(writer, tensors.iter().copied()))
        .map_err(|source| OutputError { file: file.to_path_buf(), source })
}
