//! Archives of arrays: zip files whose members are `.npy` files.

use std::io::{Read, Seek};

use super::{NpyArray, NpyError, read_npy};

/// Reads the array called `wanted` from an archive, or the only one that it holds, with its name.
pub fn read_npz(reader: impl Read + Seek, wanted: &str) -> Result<(String, NpyArray), NpyError> {
    let damaged = |e: zip::result::ZipError| NpyError::Archive(e.to_string());
    let mut archive = zip::ZipArchive::new(reader).map_err(damaged)?;
    let mut found = Vec::new();
    for name in archive.file_names() {
        found.extend(name.map_err(damaged)?.strip_suffix(".npy").map(str::to_owned));
    }
    found.sort();
    let name = match found.as_slice() {
        [only] => only.clone(),
        names if names.iter().any(|n| n == wanted) => wanted.to_owned(),
        _ => return Err(NpyError::NoSuchArray { wanted: wanted.into(), found }),
    };
    let member = archive.by_name(&format!("{name}.npy")).map_err(damaged)?;
    let length = member.size(); // what the archive claims; it may lie
    let array = read_npy(member, length, false).map_err(|e| match e {
        NpyError::Io(e) => NpyError::Archive(format!("{name}: {e}")),
        other => other,
    })?;
    Ok((name, array))
}
