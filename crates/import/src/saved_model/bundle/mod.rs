//! A checkpoint of variables (TensorFlow's "tensor bundle"): `PREFIX.index` says where in the files
//! `PREFIX.data-0000X-of-0000N` each tensor is.

mod checksum;
mod table;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use cryptflow_arrays::Encoding;
use prost::Message;

use super::messages::{BundleEntryProto, BundleHeaderProto};
use crate::cursor::Cursor;
use crate::tensorflow::messages::{DataType, TensorProto};

/// Why a checkpoint cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file of it cannot be read.
    #[error("cannot read {}: {source}. A SavedModel is a whole folder: copy it with its folder \"variables\"", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The index is damaged, or no index.
    #[error("{}: {reason}. Copy the SavedModel again, or save it again", path.display())]
    Index {
        /// The index file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A tensor cannot be read.
    #[error("the variable {key:?} in {}: {reason}", path.display())]
    Tensor {
        /// Its name in the checkpoint.
        key: String,
        /// The file in which something is wrong.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A checkpoint whose index has been read.
pub(super) struct Bundle {
    prefix: PathBuf,
    shards: i32,
    entries: BTreeMap<String, BundleEntryProto>,
}

impl Bundle {
    /// Reads the index; the tensors stay in their files.
    pub(super) fn open(prefix: &Path) -> Result<Bundle, BundleError> {
        let path = prefix.with_extension("index");
        let file = std::fs::read(&path).map_err(|source| BundleError::Read { path: path.clone(), source })?;
        let wrong = |reason: String| BundleError::Index { path: path.clone(), reason };
        let mut header = None;
        let mut entries = BTreeMap::new();
        for (key, value) in table::read(&file).map_err(|e| wrong(e.to_string()))? {
            if key.is_empty() {
                let decoded = BundleHeaderProto::decode(value.as_slice());
                header = Some(decoded.map_err(|e| wrong(format!("its header does not decode ({e})")))?);
                continue;
            }
            // Only the parts of variables that are stored in slices have such names; the whole
            // variable's entry lists them.
            let Ok(key) = String::from_utf8(key) else { continue };
            let entry = BundleEntryProto::decode(value.as_slice())
                .map_err(|e| wrong(format!("the entry of {key:?} does not decode ({e})")))?;
            entries.insert(key, entry);
        }
        let header = header.ok_or_else(|| wrong("it has no header".into()))?;
        if header.endianness != 0 {
            return Err(wrong("it was written on a machine with the other byte order (big-endian)".into()));
        }
        Ok(Bundle { prefix: prefix.to_path_buf(), shards: header.num_shards, entries })
    }

    /// The names of the tensors.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// A tensor of numbers, as a constant of a graph; its checksum is verified.
    pub(super) fn tensor(&self, key: &str) -> Result<TensorProto, BundleError> {
        let (path, entry) = self.entry(key)?;
        let wrong = |reason: String| BundleError::Tensor { key: key.into(), path: path.clone(), reason };
        let dtype = DataType::try_from(entry.dtype)
            .map_err(|_| wrong(format!("it has the unknown element type {}", entry.dtype)))?;
        let width = dtype
            .encoding()
            .map(Encoding::width)
            .ok_or_else(|| wrong(format!("its elements have the type {dtype:?}, which is not read here")))?;
        let dims: Vec<i64> = entry.shape.iter().flat_map(|s| &s.dim).map(|d| d.size).collect();
        let expected = dims
            .iter()
            .try_fold(width, |n, &d| usize::try_from(d).ok().and_then(|d| n.checked_mul(d)))
            .and_then(|n| i64::try_from(n).ok());
        if expected != Some(entry.size) {
            return Err(wrong(format!(
                "{} bytes are no {dtype:?} of the shape {dims:?}: the index is damaged",
                entry.size
            )));
        }
        let bytes = self.bytes(key, &path, entry)?;
        if checksum::masked(checksum::extend(0, &bytes)) != entry.crc32c {
            return Err(wrong(
                "its checksum is wrong: the file is damaged. Copy the SavedModel again".into(),
            ));
        }
        let tensor_shape = Some(entry.shape.clone().unwrap_or_default());
        Ok(TensorProto { dtype: entry.dtype, tensor_shape, tensor_content: bytes, ..TensorProto::default() })
    }

    /// A single string: its length, the checksum of the length, its bytes.
    pub(super) fn string(&self, key: &str) -> Result<Vec<u8>, BundleError> {
        let (path, entry) = self.entry(key)?;
        let wrong = |reason: &str| BundleError::Tensor {
            key: key.into(),
            path: path.clone(),
            reason: reason.to_owned() + ": the file is damaged. Copy the SavedModel again",
        };
        let one = entry.shape.iter().flat_map(|s| &s.dim).all(|d| d.size == 1);
        if entry.dtype != DataType::String as i32 || !one {
            return Err(wrong("it is not the one string that it should be"));
        }
        let bytes = self.bytes(key, &path, entry)?;
        let mut cursor = Cursor(&bytes);
        let length = cursor.varint().ok_or_else(|| wrong("its length has no end"))?;
        let stored = cursor.take(4).ok_or_else(|| wrong("it is cut off"))?;
        if usize::try_from(length) != Ok(cursor.0.len()) {
            return Err(wrong("its length is not that of the string"));
        }
        // Lengths enter the checksum as 4 bytes where they fit.
        let crc = match u32::try_from(length) {
            Ok(short) => checksum::extend(0, &short.to_le_bytes()),
            Err(_) => checksum::extend(0, &length.to_le_bytes()),
        };
        let whole = checksum::extend(checksum::extend(crc, stored), cursor.0);
        if checksum::masked(crc).to_le_bytes() != stored || checksum::masked(whole) != entry.crc32c {
            return Err(wrong("its checksum is wrong"));
        }
        Ok(cursor.0.to_vec())
    }

    /// The entry of a tensor, and the file that holds it.
    fn entry(&self, key: &str) -> Result<(PathBuf, &BundleEntryProto), BundleError> {
        let index = self.prefix.with_extension("index");
        let wrong = |reason: String| BundleError::Tensor { key: key.into(), path: index.clone(), reason };
        let entry = self.entries.get(key).ok_or_else(|| wrong("the checkpoint has no such tensor".into()))?;
        if !entry.slices.is_empty() {
            return Err(wrong(format!(
                "it is stored in {} slices, as a partitioned variable. Save the model without a partitioner",
                entry.slices.len()
            )));
        }
        if entry.shard_id < 0 || entry.shard_id >= self.shards {
            let (id, shards) = (entry.shard_id, self.shards);
            return Err(wrong(format!(
                "it is said to be in the data file {id} of {shards}: the index is damaged"
            )));
        }
        let name = format!("data-{:05}-of-{:05}", entry.shard_id, self.shards);
        Ok((self.prefix.with_extension(name), entry))
    }

    /// The bytes of a tensor. Nothing is allocated before the file is known to hold as many.
    fn bytes(&self, key: &str, path: &Path, entry: &BundleEntryProto) -> Result<Vec<u8>, BundleError> {
        let read = |source| BundleError::Read { path: path.to_path_buf(), source };
        let mut file = File::open(path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let place = u64::try_from(entry.offset).ok().zip(u64::try_from(entry.size).ok());
        let inside = |&(offset, size): &(u64, u64)| offset.checked_add(size).is_some_and(|end| end <= length);
        let (offset, size) = place.filter(inside).ok_or_else(|| BundleError::Tensor {
            key: key.into(),
            path: path.to_path_buf(),
            reason: format!(
                "it is said to be the {} bytes at {}, but the file has {length}: it is cut off. Copy the SavedModel \
                 again",
                entry.size, entry.offset
            ),
        })?;
        file.seek(SeekFrom::Start(offset)).map_err(read)?;
        let mut bytes = Vec::new();
        file.take(size).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() as u64 != size {
            let source = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            return Err(read(source));
        }
        Ok(bytes)
    }
}
