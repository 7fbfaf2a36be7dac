//! The file of a party's part of a deployment: safetensors, which nobody else on the machine may read.
//!
//! | metadata | |
//! |---|---|
//! | `format` | `cryptflow-part-2` |
//! | `party` | `0`, `1` or `2` |
//! | `salts` | of the commitments to what this party holds, one after another, in hexadecimal |
//! | `deployment` | the [`Deployment`] as JSON |
//!
//! The tensor `part.i` holds this party's part of weight `i`, as bytes, one behind the other.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use hex::FromHex;
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{StoreError, synced};
use crate::deployment::{Deployment, Part};

const FORMAT: &str = "cryptflow-part-2";
/// What was written before parts were kept together.
const OLD_FORMAT: &str = "cryptflow-part";

/// A file that is written while its tensors arrive. It has another name until it is whole, and is
/// gone if it never is.
pub struct PartWriter {
    file: BufWriter<File>,
    arriving: PathBuf,
    path: PathBuf,
    /// Bytes of all of it.
    bytes: u64,
    whole: bool,
}

impl PartWriter {
    /// Begins the file at `path`, with tensors of these lengths; the disk has room for all of it when
    /// this returns, where the system knows.
    ///
    /// # Errors
    /// It cannot be written, or the disk has no room.
    pub(super) fn begin(
        path: PathBuf,
        party: usize,
        deployment: &Deployment,
        salts: &[[u8; 32]],
        lengths: &[u64],
    ) -> Result<PartWriter, StoreError> {
        let arriving = path.with_extension(super::ARRIVING);
        let fail = |source| StoreError::Io { path: arriving.clone(), source };
        let header = header(party, deployment, salts, lengths).map_err(fail)?;
        let bytes = lengths.iter().fold(header.len() as u64, |sum, n| sum.saturating_add(*n));
        let file = secret(&arriving).map_err(fail)?;
        let mut writer =
            PartWriter { file: BufWriter::new(file), arriving: arriving.clone(), path, bytes, whole: false };
        reserve(writer.file.get_ref(), bytes).map_err(fail)?;
        writer.write(&header)?;
        Ok(writer)
    }

    /// The next bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_all(bytes);
        written.map_err(|source| StoreError::Io { path: self.arriving.clone(), source })
    }

    /// All of it has come: it is on the disk, under its name, when this returns. Returns how long it is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> Result<u64, StoreError> {
        let ended = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .and_then(|()| std::fs::rename(&self.arriving, &self.path));
        ended.map_err(|source| StoreError::Io { path: self.path.clone(), source })?;
        self.whole = true;
        synced(&self.path);
        Ok(self.bytes)
    }
}

impl Drop for PartWriter {
    fn drop(&mut self) {
        if !self.whole {
            let _ = std::fs::remove_file(&self.arriving);
        }
    }
}

/// A new file that nobody but its owner may read.
fn secret(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Room for so many bytes, so that who sends them hears beforehand if there is none.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes) {
            // A file system that cannot tell: it is found out while writing.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, bytes);
        Ok(())
    }
}

/// What stands before the tensors.
fn header(party: usize, deployment: &Deployment, salts: &[[u8; 32]], lengths: &[u64]) -> io::Result<Vec<u8>> {
    let mut all = Map::new();
    let texts = json!({
        "format": FORMAT,
        "party": party.to_string(),
        "salts": hex::encode(salts.concat()),
        "deployment": serde_json::to_string(deployment)?,
    });
    all.insert("__metadata__".into(), texts);
    let mut at: u64 = 0;
    for (i, length) in lengths.iter().enumerate() {
        let end = at.checked_add(*length).ok_or(ErrorKind::FileTooLarge)?;
        let tensor = json!({ "dtype": "U8", "shape": [length], "data_offsets": [at, end] });
        all.insert(format!("part.{i}"), tensor);
        at = end;
    }
    let mut json = serde_json::to_vec(&Value::Object(all))?;
    // What follows begins at a multiple of 8 bytes.
    json.resize(json.len().next_multiple_of(8), b' ');
    Ok([&(json.len() as u64).to_le_bytes()[..], &json].concat())
}

/// What everybody may know of the deployment of a file: read from its head, however long it is.
///
/// # Errors
/// It cannot be read, or it is damaged.
pub(super) fn deployment(path: &Path, party: usize) -> Result<Deployment, StoreError> {
    let fail = |source| StoreError::Io { path: path.into(), source };
    let mut file = File::open(path).map_err(fail)?;
    let length = file.metadata().map_err(fail)?.len();
    let mut start = [0; 8];
    let mut header = Vec::new();
    let read = file.read_exact(&mut start).and_then(|()| {
        let count = u64::from_le_bytes(start).min(length);
        (&file).take(count).read_to_end(&mut header)
    });
    match read {
        Ok(_) => head(&header, length, party).map(|head| head.deployment),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err("it is too short".into()),
        Err(error) => return Err(fail(error)),
    }
    .map_err(|reason: String| StoreError::Damaged { path: path.into(), reason })
}

/// Writes a part of this party's to a file, at once.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, party: usize, part: &Part) -> Result<(), StoreError> {
    let lengths: Vec<u64> = part.weights.iter().map(|weight| weight.len() as u64).collect();
    let mut file = PartWriter::begin(path.into(), party, &part.deployment, &part.salts, &lengths)?;
    part.weights.iter().try_for_each(|weight| file.write(weight))?;
    file.finish().map(drop)
}

/// A party's part of a model.
///
/// # Errors
/// The file cannot be read, or it is damaged.
pub fn read(path: &Path, party: usize) -> Result<Part, StoreError> {
    let bytes = std::fs::read(path).map_err(|source| StoreError::Io { path: path.into(), source })?;
    parse(&bytes, party).map_err(|reason| StoreError::Damaged { path: path.into(), reason })
}

fn parse(bytes: &[u8], party: usize) -> Result<Part, String> {
    let (length, _) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let header = bytes.get(8..length.saturating_add(8)).ok_or("it is too short")?;
    let Head { deployment, salts } = head(header, bytes.len() as u64, party)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let weights = (0..tensors.len()).map(|i| tensors.tensor(&format!("part.{i}")).map(|t| t.data().to_vec()));
    let weights = weights.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    Ok(Part { deployment, salts, weights })
}

/// What the header of a file of so many bytes says.
fn head(header: &[u8], length: u64, party: usize) -> Result<Head, String> {
    let Header { texts, tensors } = serde_json::from_slice(header).map_err(|e| e.to_string())?;
    let end = tensors.values().map(|tensor| tensor.data_offsets[1]).max().unwrap_or(0);
    if end.checked_add(8 + header.len() as u64) != Some(length) {
        return Err("it is not as long as its header says".into());
    }
    let text = |key: &str| texts.get(key).map(String::as_str).ok_or(format!("it says no {key}"));
    match text("format")? {
        FORMAT => {}
        OLD_FORMAT => return Err("an older version of this program wrote it".into()),
        _ => return Err("this is no party's part of a model".into()),
    }
    if text("party")? != party.to_string() {
        return Err(format!("this is the part of P{}, and this party is P{party}", text("party")?));
    }
    let salts = Vec::from_hex(text("salts")?).map_err(|_| "its salts are malformed")?;
    let (salts, rest) = salts.as_chunks::<32>();
    if !rest.is_empty() {
        return Err("its salts are malformed".into());
    }
    let deployment: Deployment = serde_json::from_str(text("deployment")?).map_err(|e| e.to_string())?;
    Ok(Head { deployment, salts: salts.to_vec() })
}

/// What stands before the weights.
struct Head {
    deployment: Deployment,
    salts: Vec<[u8; 32]>,
}

/// The header of a safetensors file.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    texts: HashMap<String, String>,
    #[serde(flatten)]
    tensors: HashMap<String, Place>,
}

/// Where a tensor is, behind the header.
#[derive(Deserialize)]
struct Place {
    data_offsets: [u64; 2],
}
