//! Elements that a model keeps in other files: only in its own folder, and no more than are there.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::messages::TensorProto;
use crate::value::Fault;

/// How many times over the files beside a model may be read: constants may share their elements,
/// but a small model that names one large file again and again would fill the memory.
const TIMES: u64 = 4;

/// The folder of a model; nothing for a model that is only bytes.
#[derive(Debug, Default)]
pub(super) struct Folder {
    path: Option<PathBuf>,
    read: RefCell<Reading>,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Reading {
    files: HashSet<PathBuf>,
    /// Bytes that may still be read, of these files together.
    left: u64,
}

impl Reading {
    /// Takes so many bytes of a file of this size.
    fn take(&mut self, path: &Path, size: u64, bytes: u64) -> Option<()> {
        if self.files.insert(path.to_path_buf()) {
            self.left = self.left.saturating_add(size.saturating_mul(TIMES));
        }
        self.left = self.left.checked_sub(bytes)?;
        Some(())
    }
}

impl Folder {
    /// This folder.
    pub(super) fn new(path: Option<PathBuf>) -> Folder {
        Folder { path, read: RefCell::default() }
    }

    /// The elements of a constant that lies in another file: `length` bytes are expected.
    pub(super) fn elements(&self, tensor: &TensorProto, length: usize) -> Result<Vec<u8>, Fault> {
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let location =
            entry("location").ok_or("the constant lies in another file, but does not say in which")?;
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(n) => Ok(Some(n)),
                Err(_) => {
                    Err(format!("the constant lies in {location:?}, with the impossible {key} {text:?}"))
                }
            },
        };
        let offset = number("offset")?.unwrap_or(0);
        if let Some(stated) = number("length")?
            && stated != length as u64
        {
            return Err(format!(
                "the constant's shape needs {length} bytes, but it has {stated} bytes in {location:?}"
            )
            .into());
        }
        let path = self.inside(location)?;
        let unreadable = |e: std::io::Error| {
            format!(
                "the constant lies in {location:?}, which cannot be read: {e}. Put that file beside the model"
            )
        };
        let mut file = File::open(&path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        if offset.checked_add(length as u64).is_none_or(|end| end > size) {
            return Err(format!(
                "the constant has {length} bytes from byte {offset} of {location:?}, but that file has {size} bytes: \
                 it is cut off, or belongs to another model"
            )
            .into());
        }
        self.read.borrow_mut().take(&path, size, length as u64).ok_or_else(|| {
            format!(
                "the constants of the model read {location:?} and its like more than {TIMES} times over. Is the model damaged? If not, \
                 save it anew (onnx.save_model with save_as_external_data)"
            )
        })?;
        file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }

    /// The path of a file in the folder, links followed; an error for what lies elsewhere.
    fn inside(&self, location: &str) -> Result<PathBuf, Fault> {
        let Some(folder) = &self.path else {
            return Err(format!(
                "the constant lies in {location:?} beside the model: import the model from its path"
            )
            .into());
        };
        let outside = || {
            format!(
                "the constant lies in {location:?}, which is not in the model's folder. Only files there are read: \
                 save the model anew (onnx.save_model with save_as_external_data)"
            )
        };
        let relative = Path::new(location);
        let plain = relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if location.is_empty() || !plain {
            return Err(outside().into());
        }
        let missing = |e: std::io::Error| {
            format!(
                "the constant lies in {location:?}, which cannot be read: {e}. Put that file beside the model"
            )
        };
        let folder = folder.canonicalize().map_err(missing)?;
        let path = folder.join(relative).canonicalize().map_err(missing)?;
        if !path.starts_with(&folder) || !path.is_file() {
            return Err(outside().into());
        }
        Ok(path)
    }
}
