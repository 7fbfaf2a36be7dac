//! Archives of arrays: zip files whose members are `.npy` files.

use std::io::{Read, Seek, Write};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{NpyArray, NpyError, Written, read_npy, write_npy};

trait Archived: Read + Seek {}
impl<T: Read + Seek> Archived for T {}

/// An archive whose reading is compiled here, once, where it is optimised.
type Archive<'a> = ZipArchive<&'a mut dyn Archived>;

/// Reads the array called `wanted` from an archive, or the only one that it holds, with its name.
pub fn read_npz(mut reader: impl Read + Seek, wanted: &str) -> Result<(String, NpyArray), NpyError> {
    let mut archive = open(&mut reader)?;
    let found = names(&archive)?;
    let name = match found.as_slice() {
        [only] => only.clone(),
        names if names.iter().any(|n| n == wanted) => wanted.to_owned(),
        _ => return Err(NpyError::NoSuchArray { wanted: wanted.into(), found }),
    };
    let array = member(&mut archive, &name)?;
    Ok((name, array))
}

/// Reads the array called `wanted` from an archive, also where it holds only one, which has another
/// name.
pub fn read_npz_member(mut reader: impl Read + Seek, wanted: &str) -> Result<NpyArray, NpyError> {
    let mut archive = open(&mut reader)?;
    let found = names(&archive)?;
    if !found.iter().any(|name| name == wanted) {
        return Err(NpyError::NoSuchArray { wanted: wanted.into(), found });
    }
    member(&mut archive, wanted)
}

/// Reads all arrays of an archive, with their names, sorted by these.
pub fn read_npz_all(mut reader: impl Read + Seek) -> Result<Vec<(String, NpyArray)>, NpyError> {
    let mut archive = open(&mut reader)?;
    let found = names(&archive)?;
    found.into_iter().map(|name| Ok((name.clone(), member(&mut archive, &name)?))).collect()
}

/// Writes arrays by name as an archive, uncompressed, as `numpy.savez` does.
///
/// # Errors
/// Two arrays of one name, an array whose elements do not go with its shape, or a writer that
/// fails.
pub fn write_npz<'a, A: Into<Written<'a>>>(
    writer: impl Write,
    arrays: impl IntoIterator<Item = (&'a str, A)>,
) -> std::io::Result<()> {
    let mut file = Keeping { writer, failed: None };
    let mut archive = ZipWriter::new_stream(&mut file);
    for (name, array) in arrays {
        let array = array.into();
        // Beyond this, sizes in the archive need 64 bits.
        let large = (array.tensor.data.len() * array.size()) as u64 >= u64::from(u32::MAX) - (1 << 16);
        let options =
            SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(large);
        archive.start_file(format!("{name}.npy"), options)?;
        write_npy(&mut archive, array)?;
    }
    archive.finish()?;
    match file.failed {
        Some(error) => Err(error),
        None => file.writer.flush(),
    }
}

/// Keeps the first error of a writer for the end: an archive's writer that meets one prints another
/// to standard error when it is dropped.
struct Keeping<W> {
    writer: W,
    failed: Option<std::io::Error>,
}

impl<W: Write> Write for Keeping<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.failed.is_none() {
            self.failed = self.writer.write_all(bytes).err();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn damaged(error: ZipError) -> NpyError {
    NpyError::Archive(error.to_string())
}

fn open(reader: &mut dyn Archived) -> Result<Archive<'_>, NpyError> {
    ZipArchive::new(reader).map_err(damaged)
}

/// The names of all arrays, sorted.
fn names(archive: &Archive<'_>) -> Result<Vec<String>, NpyError> {
    let mut found = Vec::new();
    for name in archive.file_names() {
        found.extend(name.map_err(damaged)?.strip_suffix(".npy").map(str::to_owned));
    }
    found.sort();
    Ok(found)
}

fn member(archive: &mut Archive<'_>, name: &str) -> Result<NpyArray, NpyError> {
    let member = archive.by_name(&format!("{name}.npy")).map_err(damaged)?;
    let length = member.size(); // what the archive claims; it may lie
    read_npy(member, length, false).map_err(|e| match e {
        NpyError::Io(e) => NpyError::Archive(format!("{name}: {e}")),
        other => other,
    })
}
