//! The file of a compiled model: one safetensors file, with the fixed-point weights as tensors and
//! the rest as metadata.
//!
//! | metadata | |
//! |---|---|
//! | `format` | `cryptflow` |
//! | `version` | that of the program, or [`PACKED`] |
//! | `content` | `model` (with weights) or `public` (without) |
//! | `program` | the [`Program`] as JSON |
//! | `digest` | [`cryptflow_program::digest()`] of it, in hexadecimal |
//! | `weights_digest` | [`weights_digest`], in hexadecimal; only with weights |
//! | `report` | the compiler's report as JSON; only if there is one |
//!
//! Weight `i` is the tensor `weight.i`, in the smallest of I8, I16, I32 and I64 that holds it.
//!
//! Where program and report are long, as those of a loop with many steps are, both are tensors of the same names in place of
//! metadata: the bytes of their JSON, compressed (zlib). A file is then of the version [`PACKED`], and smaller by a factor of
//! twenty and more.

mod error;
mod narrow;
mod packed;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use cryptflow_program::{
    Checked, OLDEST, Program, digest_of_json, validate, weights_digest, write_secret, write_whole,
};
use safetensors::tensor::{Dtype, TensorView, View};
use safetensors::{SafeTensorError, SafeTensors};

pub use error::FileError;

/// The version of a file whose program and report are compressed.
pub const PACKED: u32 = 3;

/// The newest version of a file that this crate reads.
pub const VERSION: u32 = cryptflow_program::VERSION;

/// Bytes of program and report from which on they are compressed.
const LONG: usize = 1 << 20;

const FORMAT: &str = "cryptflow";
const PROGRAM: &str = "program";
const REPORT: &str = "report";

/// A compiled model, as its file holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The program.
    pub program: Checked,
    /// The fixed-point weights, by id, each row-major; none in a public part.
    pub weights: Option<Vec<Vec<i64>>>,
    /// The compiler's report.
    pub report: Option<serde_json::Value>,
}

/// Writes a compiled model with its weights. The file appears whole or not at all: what was at
/// `path` before stays there until the new file is complete and on disk. Nobody but its owner can
/// read it.
///
/// # Errors
/// Where the weights are not the program's, and where the file cannot be written.
pub fn write(
    path: &Path,
    program: &Checked,
    weights: &[Vec<i64>],
    report: Option<&serde_json::Value>,
) -> Result<(), FileError> {
    let (header, tensors) = parts(program, Some(weights), report)?;
    // One tensor after another: all of them would be there twice.
    let write = |writer: &mut dyn Write| {
        writer.write_all(&header)?;
        tensors.iter().try_for_each(|tensor| writer.write_all(&tensor.data()))
    };
    write_secret(path, write).map_err(|e| FileError::io(path, "write", e))
}

/// Writes the public part of a compiled model: what a party and a client need, without weights and
/// report.
///
/// # Errors
/// As [`write()`].
pub fn write_public(path: &Path, program: &Checked) -> Result<(), FileError> {
    let bytes = to_bytes(program, None, None)?;
    write_whole(path, |writer| writer.write_all(&bytes)).map_err(|e| FileError::io(path, "write", e))
}

/// Whether a file could be written at `path`, so that a long compilation does not end in vain.
///
/// # Errors
/// Where the folder does not exist or cannot be written to.
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    cryptflow_program::check_writable(path).map_err(|e| FileError::io(path, "write", e))
}

/// The bytes of a file: with weights, or the public part.
///
/// # Errors
/// Where the weights are not the program's.
pub fn to_bytes(
    program: &Checked,
    weights: Option<&[Vec<i64>]>,
    report: Option<&serde_json::Value>,
) -> Result<Vec<u8>, FileError> {
    let (mut bytes, tensors) = parts(program, weights, report)?;
    tensors.iter().for_each(|tensor| bytes.extend_from_slice(&tensor.data()));
    Ok(bytes)
}

/// The header of a file, and what follows it, in order.
fn parts<'a>(
    program: &'a Checked,
    weights: Option<&'a [Vec<i64>]>,
    report: Option<&serde_json::Value>,
) -> Result<(Vec<u8>, Vec<Stored<'a>>), FileError> {
    let json = serde_json::to_string::<Program>(program).map_err(FileError::form)?;
    let digest = digest_of_json(&json);
    let mut texts = vec![(PROGRAM, json)];
    texts.extend(report.map(|report| (REPORT, report.to_string())));
    let is_long = texts.iter().map(|(_, text)| text.len()).sum::<usize>() >= LONG;
    let version = if is_long { PACKED } else { program.version };
    let mut metadata = HashMap::from([
        ("format".to_string(), FORMAT.to_string()),
        ("version".to_string(), version.to_string()),
        ("content".to_string(), if weights.is_some() { "model" } else { "public" }.to_string()),
        ("digest".to_string(), digest.to_string()),
    ]);
    let mut tensors = Vec::new();
    for (name, text) in texts {
        if is_long {
            tensors.push((name.to_string(), Stored::Bytes(packed::pack(&text)?)));
        } else {
            metadata.insert(name.to_string(), text);
        }
    }
    if let Some(weights) = weights {
        if weights.len() != program.weights.len() {
            let (given, weights) = (weights.len(), program.weights.len());
            return Err(FileError::WeightCount { given, weights });
        }
        for (index, (data, weight)) in weights.iter().zip(&program.weights).enumerate() {
            if weight.shape.iter().product::<usize>() != data.len() {
                let (name, shape) = (weight.name.clone(), weight.shape.clone());
                return Err(FileError::WeightLength { index, name, len: data.len(), shape });
            }
            tensors.push((tensor_name(index), Stored::Weight(narrow::Narrow::new(data, &weight.shape))));
        }
        metadata.insert("weights_digest".to_string(), weights_digest(weights).to_string());
    }
    let announced = tensors.iter().map(|(name, tensor)| (name, Announced(tensor)));
    let mut header = safetensors::serialize(announced, Some(metadata)).map_err(FileError::form)?;
    header.shrink_to_fit();
    sort_header(&mut header)?;
    // As the header has them: the widest elements first, then by name.
    let widest_first = |(name, tensor): &(String, Stored<'_>)| (Reverse(tensor.dtype()), name.clone());
    tensors.sort_by_cached_key(widest_first);
    Ok((header, tensors.into_iter().map(|(_, tensor)| tensor).collect()))
}

/// A tensor that the header tells of, and that comes later.
struct Announced<'a>(&'a Stored<'a>);

impl View for Announced<'_> {
    fn dtype(&self) -> Dtype {
        self.0.dtype()
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&[])
    }

    fn data_len(&self) -> usize {
        self.0.data_len()
    }
}

/// What a file holds as a tensor.
enum Stored<'a> {
    Weight(narrow::Narrow<'a>),
    Bytes(packed::Bytes),
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self {
            Stored::Weight(weight) => weight.dtype(),
            Stored::Bytes(_) => Dtype::U8,
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Stored::Weight(weight) => weight.shape(),
            Stored::Bytes(bytes) => &bytes.shape,
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self {
            Stored::Weight(weight) => weight.data(),
            Stored::Bytes(bytes) => bytes.data.as_slice().into(),
        }
    }

    fn data_len(&self) -> usize {
        match self {
            Stored::Weight(weight) => weight.data_len(),
            Stored::Bytes(bytes) => bytes.data.len(),
        }
    }
}

/// Sorts the header's names, so that the same model has the same bytes every time.
fn sort_header(bytes: &mut [u8]) -> Result<(), FileError> {
    let Some((length, rest)) = bytes.split_first_chunk_mut::<8>() else { return Err(FileError::Truncated) };
    let length = usize::try_from(u64::from_le_bytes(*length)).ok();
    let header = length.and_then(|length| rest.get_mut(..length)).ok_or(FileError::Truncated)?;
    // The metadata, and what is said of each tensor.
    type Sorted = BTreeMap<String, BTreeMap<String, serde_json::Value>>;
    let sorted: Sorted = serde_json::from_slice(header).map_err(FileError::form)?;
    let sorted = serde_json::to_vec(&sorted).map_err(FileError::form)?;
    let Some((text, spaces)) = header.split_at_mut_checked(sorted.len()) else {
        return Err(FileError::form("sorting its names makes the header longer"));
    };
    text.copy_from_slice(&sorted);
    spaces.fill(b' ');
    Ok(())
}

/// Reads a compiled model, or its public part.
///
/// # Errors
/// Where the file cannot be read, and for every way in which it can be wrong: see [`FileError`].
pub fn read(path: &Path) -> Result<Model, FileError> {
    let fail = |e: std::io::Error| FileError::io(path, "read", e);
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(fail)?;
    from_bytes(&bytes).map_err(|e| FileError::At { path: path.to_path_buf(), error: Box::new(e) })
}

/// Reads a compiled model from the bytes of its file. Allocates in proportion to their number,
/// whatever they claim; what is compressed in them, up to a thousand times as much, and half a gigabyte at most.
///
/// # Errors
/// As [`read`].
pub fn from_bytes(bytes: &[u8]) -> Result<Model, FileError> {
    header(bytes)?;
    let damaged = |error: SafeTensorError| match error {
        SafeTensorError::MetadataIncompleteBuffer => FileError::Truncated,
        other => FileError::NotSafetensors { reason: other.to_string() },
    };
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let empty = HashMap::new();
    let texts = metadata.metadata().as_ref().unwrap_or(&empty);
    let text = |key: &'static str| texts.get(key).map(String::as_str).ok_or(FileError::Missing(key));
    if texts.get("format").map(String::as_str) != Some(FORMAT) {
        return Err(FileError::NotCompiled);
    }
    let version = text("version")?;
    if !(OLDEST..=VERSION).any(|understood| version == understood.to_string()) {
        return Err(FileError::Version { found: version.to_string(), understood: VERSION });
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let is_packed = version == PACKED.to_string();
    let long = |key: &'static str| match is_packed {
        true => packed::unpack(key, &tensors),
        false => Ok(texts.get(key).map(|text| Cow::Borrowed(text.as_str()))),
    };
    let json = long(PROGRAM)?.ok_or(FileError::Missing(PROGRAM))?;
    if digest_of_json(&json).to_string() != text("digest")? {
        return Err(FileError::Digest(PROGRAM));
    }
    let program: Program = serde_json::from_str(&json).map_err(FileError::json(PROGRAM))?;
    let program = validate(program)?;
    let report = match long(REPORT)? {
        Some(report) => Some(serde_json::from_str(&report).map_err(FileError::json(REPORT))?),
        None => None,
    };
    let others: &[&str] = if is_packed { &[PROGRAM, REPORT] } else { &[] };
    let weights = match text("content")? {
        "model" => {
            let weights = read_weights(&program, &tensors, others)?;
            if weights_digest(&weights).to_string() != text("weights_digest")? {
                return Err(FileError::Digest("weights"));
            }
            Some(weights)
        }
        "public" => {
            no_others(&tensors, 0, others)?;
            None
        }
        other => return Err(FileError::Content { found: other.to_string() }),
    };
    Ok(Model { program, weights, report })
}

/// Whether the bytes begin as a safetensors file does, with a whole header; tells a file that was
/// cut off from another kind of file.
fn header(bytes: &[u8]) -> Result<(), FileError> {
    let not = |reason: &str| Err(FileError::NotSafetensors { reason: reason.to_string() });
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return not("it is shorter than a header");
    };
    if rest.first() != Some(&b'{') {
        return not(if rest.is_empty() { "it ends within its header" } else { "it has no header" });
    }
    match usize::try_from(u64::from_le_bytes(*length)) {
        Ok(length) if length <= rest.len() => Ok(()),
        _ => Err(FileError::Truncated),
    }
}

fn tensor_name(index: usize) -> String {
    format!("weight.{index}")
}

fn read_weights(
    program: &Program,
    tensors: &SafeTensors<'_>,
    others: &[&str],
) -> Result<Vec<Vec<i64>>, FileError> {
    let mut weights = Vec::with_capacity(program.weights.len());
    for (index, weight) in program.weights.iter().enumerate() {
        let name = tensor_name(index);
        let wrong =
            |reason: String| FileError::Tensor { name: name.clone(), weight: weight.name.clone(), reason };
        let view: TensorView<'_> = tensors.tensor(&name).map_err(|_| wrong("is missing".into()))?;
        if view.shape() != weight.shape {
            return Err(wrong(format!("has the shape {:?} in place of {:?}", view.shape(), weight.shape)));
        }
        weights.push(narrow::read(&view).map_err(|dtype| wrong(format!("holds {dtype}, not integers")))?);
    }
    no_others(tensors, program.weights.len(), others)?;
    Ok(weights)
}

/// No tensors beside the weights, of which there are so many, and these.
fn no_others(tensors: &SafeTensors<'_>, weights: usize, others: &[&str]) -> Result<(), FileError> {
    let known: std::collections::HashSet<String> = (0..weights).map(tensor_name).collect();
    let is_known = |name: &str| known.contains(name) || others.contains(&name);
    match tensors.names().into_iter().find(|name| !is_known(name)) {
        Some(name) => Err(FileError::Extra { tensor: name.to_string() }),
        None => Ok(()),
    }
}
