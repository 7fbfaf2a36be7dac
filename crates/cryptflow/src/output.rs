//! Writing results: whole, or not at all.

use std::path::{Path, PathBuf};

use cryptflow_program::write_whole;

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
/// Where the folder cannot be written to or the disk is full; a file that was there stays as it was.
pub fn write_npy(file: &Path, tensor: &Tensor) -> Result<(), OutputError> {
    write_whole(file, |writer| npy::write_npy(writer, tensor))
        .map_err(|source| OutputError { file: file.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let tensor = Tensor { shape: vec![1, 2], data: vec![1.0, 2.0] };
        let file = folder.path().join("y.npy");
        write_npy(&file, &tensor).unwrap();
        assert!(std::fs::read(&file).unwrap().starts_with(b"\x93NUMPY"));
        let error = write_npy(&folder.path().join("no/such/folder.npy"), &tensor).unwrap_err().to_string();
        assert!(error.contains("folder.npy"), "{error}");
    }
}
