//! From a file to rows.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use super::foreign::{Foreign, LOOKED_AT};
use super::{InputError, InputSpec, Row, array, push};
use cryptflow_arrays::npy::{self, NpyError};
use cryptflow_import::Lookalike;
use cryptflow_pictures as pictures;

/// The files that are meant: those that are given, and in the place of a folder those in it.
pub(super) fn all(paths: &[PathBuf]) -> Result<Vec<PathBuf>, InputError> {
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        if path.is_dir() { files.extend(files_of(path)?) } else { files.push(path.clone()) }
    }
    Ok(files)
}

/// The files of a folder that look like inputs, sorted by name.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, InputError> {
    let failed = |source| InputError::Io { file: folder.to_path_buf(), source };
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        if matches!(extension.as_deref(), Some("npy" | "npz" | "png" | "jpg" | "jpeg")) {
            files.push(path);
        } else if path.is_file() {
            others.push(path);
        }
    }
    if files.is_empty() {
        let model = folder.join("saved_model.pb").exists();
        let other = others.iter().min().and_then(|other| open(other).err());
        return Err(InputError::EmptyFolder {
            folder: folder.to_path_buf(),
            model,
            other: other.map(Box::new),
        });
    }
    files.sort();
    Ok(files)
}

/// What a file is, judged by its first bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Array,
    Archive,
    Picture,
}

/// A file, opened.
struct Opened {
    kind: FileKind,
    length: u64,
    reader: BufReader<File>,
}

fn open(path: &Path) -> Result<Opened, InputError> {
    let io = |source| InputError::Io { file: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut start = Vec::new();
    file.by_ref().take(LOOKED_AT as u64).read_to_end(&mut start).map_err(io)?;
    file.rewind().map_err(io)?;
    let kind = match start.as_slice() {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => FileKind::Array,
        [b'P', b'K', ..] => FileKind::Archive,
        [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] => FileKind::Picture,
        bytes => {
            let found = match Lookalike::model_at(path) {
                Some(model) => Some(Foreign::Source(model)),
                None => Foreign::of(bytes),
            };
            return Err(InputError::Format { file: path.to_path_buf(), found });
        }
    };
    Ok(Opened { kind, length, reader: BufReader::with_capacity(1 << 16, file) })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Adds the rows of a file that holds one input.
pub(super) fn read(path: &Path, spec: &InputSpec, rows: &mut Vec<Row>) -> Result<(), InputError> {
    let Opened { kind, length, mut reader } = open(path)?;
    let name = name(path);
    let npy = |source| InputError::Npy { file: path.to_path_buf(), source };
    match kind {
        FileKind::Array => {
            let array = npy::read_npy(&mut reader, length, true).map_err(npy)?;
            array::rows(array, path, &name, spec, rows)
        }
        FileKind::Archive => {
            let (member, array) = npy::read_npz(&mut reader, &spec.name).map_err(npy)?;
            array::rows(array, path, &format!("{name}:{member}"), spec, rows)
        }
        FileKind::Picture => {
            let picture = pictures::decode(reader, length)
                .map_err(|source| InputError::Picture { file: path.to_path_buf(), source })?;
            let data = pictures::apply(picture, &spec.preprocessing, &spec.shape)
                .map_err(|source| InputError::Preprocess { file: path.to_path_buf(), source })?;
            push(rows, name, data, spec)
        }
    }
}

/// Adds the rows of a file that holds several inputs, the same number to each: an archive with an
/// array for each by its name. The rows of the first one are called after the file.
pub(super) fn read_set(path: &Path, columns: &mut [(&InputSpec, &mut Vec<Row>)]) -> Result<(), InputError> {
    if open(path)?.kind != FileKind::Archive {
        let inputs = columns.iter().map(|(spec, _)| spec.name.clone()).collect();
        return Err(InputError::NotASet { file: path.to_path_buf(), inputs });
    }
    let name = name(path);
    let mut counts = Vec::with_capacity(columns.len());
    for (spec, rows) in columns.iter_mut() {
        let array = npy::read_npz_member(open(path)?.reader, &spec.name).map_err(|source| match source {
            NpyError::NoSuchArray { wanted, found } => {
                InputError::Lacks { file: path.to_path_buf(), input: wanted, found }
            }
            source => InputError::Npy { file: path.to_path_buf(), source },
        })?;
        let before = rows.len();
        array::rows(array, path, &format!("{name}:{}", spec.name), spec, rows)?;
        counts.push((spec.name.as_str(), rows.len() - before));
    }
    let added = super::columns::same_rows(&counts, || format!("{} holds", path.display()))?;
    if let Some((_, rows)) = columns.first_mut() {
        let first = rows.len().saturating_sub(added);
        for (i, row) in rows.iter_mut().skip(first).enumerate() {
            row.name = if added == 1 { name.clone() } else { format!("{name}[{i}]") };
        }
    }
    Ok(())
}
