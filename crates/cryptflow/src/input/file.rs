//! From a file to rows.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use super::foreign::{Foreign, LOOKED_AT};
use super::{InputError, InputSpec, Row, array, push};
use cryptflow_arrays::csv::read_csv;
use cryptflow_arrays::npy::{self, Elements, NpyArray, NpyError};
use cryptflow_import::Lookalike;
use cryptflow_pictures as pictures;

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub(super) enum Source<'a> {
    /// In the file system.
    Path(PathBuf),
    /// Here, under the name that they were sent with.
    Sent(&'a str, &'a [u8]),
}

impl Source<'_> {
    /// What the file is called in messages.
    pub(super) fn path(&self) -> &Path {
        match self {
            Source::Path(path) => path,
            Source::Sent(name, _) => Path::new(name),
        }
    }
}

/// The files that are meant: the one that is given, and in the place of a folder those in it.
pub(super) fn all<'a>(path: &Path) -> Result<Vec<Source<'a>>, InputError> {
    if !path.is_dir() {
        return Ok(vec![Source::Path(path.into())]);
    }
    Ok(files_of(path)?.into_iter().map(Source::Path).collect())
}

/// The files of a folder that look like inputs, sorted by name.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, InputError> {
    let failed = |source| InputError::Io { file: folder.to_path_buf(), source };
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        if matches!(extension.as_deref(), Some("npy" | "npz" | "csv" | "png" | "jpg" | "jpeg")) {
            files.push(path);
        } else if path.is_file() {
            others.push(path);
        }
    }
    if files.is_empty() {
        let model = folder.join("saved_model.pb").exists();
        let other = others.iter().min().and_then(|other| open(&Source::Path(other.clone())).err());
        return Err(InputError::EmptyFolder {
            folder: folder.to_path_buf(),
            model,
            other: other.map(Box::new),
        });
    }
    files.sort();
    Ok(files)
}

/// What a file is, judged by its first bytes; a table is text that is called one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Array,
    Archive,
    Picture,
    Table,
}

trait Bytes: Read + Seek {}

impl<T: Read + Seek> Bytes for T {}

/// A file, opened.
struct Opened<'a> {
    kind: FileKind,
    length: u64,
    reader: Box<dyn Bytes + 'a>,
}

fn open<'a>(source: &Source<'a>) -> Result<Opened<'a>, InputError> {
    let io = |source_error| InputError::Io { file: source.path().to_path_buf(), source: source_error };
    let (length, mut reader): (u64, Box<dyn Bytes + 'a>) = match source {
        Source::Path(path) => {
            let file = File::open(path).map_err(io)?;
            (file.metadata().map_err(io)?.len(), Box::new(BufReader::with_capacity(1 << 16, file)))
        }
        Source::Sent(_, bytes) => (bytes.len() as u64, Box::new(Cursor::new(*bytes))),
    };
    let mut start = Vec::new();
    reader.by_ref().take(LOOKED_AT as u64).read_to_end(&mut start).map_err(io)?;
    reader.rewind().map_err(io)?;
    let kind = match start.as_slice() {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => FileKind::Array,
        [b'P', b'K', ..] => FileKind::Archive,
        [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] => FileKind::Picture,
        bytes => {
            let model = match source {
                Source::Path(path) => Lookalike::model_at(path),
                Source::Sent(..) => None,
            };
            let found = match model {
                Some(model) => Some(Foreign::Source(model)),
                None => Foreign::of(bytes),
            };
            let named = source.path().extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
            if !named || found != Some(Foreign::Text) {
                return Err(InputError::Format { file: source.path().to_path_buf(), found });
            }
            FileKind::Table
        }
    };
    Ok(Opened { kind, length, reader })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Adds the rows of a file that holds one input.
pub(super) fn read(source: &Source<'_>, spec: &InputSpec, rows: &mut Vec<Row>) -> Result<(), InputError> {
    let Opened { kind, length, mut reader } = open(source)?;
    let path = source.path();
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
        FileKind::Table => {
            let mut text = Vec::new();
            let io = |source| InputError::Io { file: path.to_path_buf(), source };
            reader.read_to_end(&mut text).map_err(io)?;
            let table =
                read_csv(&text).map_err(|source| InputError::Table { file: path.to_path_buf(), source })?;
            let needed: usize = spec.shape.iter().product();
            if table.columns != needed {
                let (file, input, found) = (path.to_path_buf(), spec.name.clone(), table.columns);
                return Err(InputError::Columns { file, input, found, needed });
            }
            // A line is a row, whatever the shape of a row is.
            let count = table.data.len() / needed.max(1);
            let shape = std::iter::once(count).chain(spec.shape.iter().copied()).collect();
            array::rows(NpyArray { shape, elements: Elements::Floats(table.data) }, path, &name, spec, rows)
        }
    }
}

/// Adds the rows of a file that holds several inputs, the same number to each: an archive with an
/// array for each by its name. The rows of the first one are called after the file.
pub(super) fn read_set(
    source: &Source<'_>,
    columns: &mut [(&InputSpec, &mut Vec<Row>)],
) -> Result<(), InputError> {
    let path = source.path();
    if open(source)?.kind != FileKind::Archive {
        let inputs = columns.iter().map(|(spec, _)| spec.name.clone()).collect();
        return Err(InputError::NotASet { file: path.to_path_buf(), inputs });
    }
    let name = name(path);
    let mut counts = Vec::with_capacity(columns.len());
    for (spec, rows) in columns.iter_mut() {
        let array = npy::read_npz_member(open(source)?.reader, &spec.name).map_err(|error| match error {
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
