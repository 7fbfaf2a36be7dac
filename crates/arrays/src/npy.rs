//! NumPy's array files: `.npy` of every numeric type, and the archives `.npz`.
//!
//! A file may come from anywhere: every size that it claims is checked against the bytes that are
//! there before memory is taken, and nothing in it can make the reader panic.
//!
//! The crate `npyz` cannot (0.9): a header of 14 opening braces keeps its parser
//! of Python literals busy for 15 seconds (each pair takes ten times as long), and it multiplies
//! extents without looking for overflow.

mod header;
mod npz;

use std::io::{Read, Write};

pub use npz::{read_npz, read_npz_all, read_npz_member, write_npz};

use header::{DType, Header, NumberKind};

/// A tensor of floats: contiguous, row-major. The first axis counts the rows of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Elements; as many as the product of the shape.
    pub data: Vec<f32>,
}

/// The elements of an array: bytes are kept apart, because they usually are the pixels of pictures.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Of type `uint8`.
    Bytes(Vec<u8>),
    /// Of any other type, as the nearest 32-bit float.
    Floats(Vec<f32>),
}

/// An array as read: contiguous, row-major (Fortran's order is turned).
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Elements; as many as the product of the shape.
    pub elements: Elements,
}

/// Why a `.npy` or `.npz` file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// Reading failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It does not begin as such a file does.
    #[error("this is not a .npy file: it does not begin with NumPy's signature")]
    Signature,
    /// The header makes no sense.
    #[error("the header of the .npy file is malformed: {0}")]
    Header(String),
    /// Elements that are no numbers.
    #[error("elements of type {0} cannot be used: save the array as float32 (or uint8 for pictures)")]
    DType(String),
    /// Fewer bytes than the header promises.
    #[error("the file is truncated: the shape {shape:?} needs {needed} bytes of elements, {found} are there")]
    Truncated {
        /// Shape in the header.
        shape: Vec<usize>,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes that follow the header.
        found: u64,
    },
    /// More bytes than the header promises.
    #[error("{extra} bytes follow the elements of the shape {shape:?}: is this one array?")]
    Trailing {
        /// Shape in the header.
        shape: Vec<usize>,
        /// Bytes that are too many.
        extra: u64,
    },
    /// The archive is damaged.
    #[error("the .npz archive cannot be read: {0}")]
    Archive(String),
    /// No array of the wanted name.
    #[error(
        "the .npz archive holds {}{} called {wanted:?}: save one array, or the wanted one under that name",
        list(found),
        if found.is_empty() { ", and so none" } else { ", but none is" }
    )]
    NoSuchArray {
        /// The name that is wanted.
        wanted: String,
        /// The names that are there.
        found: Vec<String>,
    },
}

/// Names of arrays, for a message.
pub fn list(names: &[String]) -> String {
    match names {
        [] => "no arrays".into(),
        [one] => format!("the array {one}"),
        names if names.len() > 8 => format!("{} arrays", names.len()),
        names => format!("the arrays {}", names.join(", ")),
    }
}

/// Reads one `.npy` array from `reader`, which holds `length` bytes as far as is known. Memory is
/// taken ahead of reading only when `trusted` says that these bytes are really there.
pub fn read_npy(mut reader: impl Read, length: u64, trusted: bool) -> Result<NpyArray, NpyError> {
    read(&mut reader, length, trusted)
}

/// Compiled here, once, where it is optimised.
fn read(reader: &mut dyn Read, length: u64, trusted: bool) -> Result<NpyArray, NpyError> {
    let Header { dtype, fortran, shape, bytes: header } = Header::read(reader, length)?;
    let found = length.saturating_sub(header);
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let sizes = count.and_then(|n| Some((n, u64::try_from(n.checked_mul(dtype.size)?).ok()?)));
    let Some((count, needed)) = sizes else {
        return Err(NpyError::Truncated { shape, needed: u64::MAX, found });
    };
    if needed > found {
        return Err(NpyError::Truncated { shape, needed, found });
    }
    if needed < found {
        return Err(NpyError::Trailing { shape, extra: found - needed });
    }
    let room = if trusted { count } else { count.min(1 << 16) };
    let elements = if dtype == (DType { kind: NumberKind::Unsigned, size: 1, big_endian: false }) {
        let mut bytes = Vec::with_capacity(room);
        chunks(reader, count, 1, &shape, |chunk| bytes.extend_from_slice(chunk))?;
        Elements::Bytes(if fortran { row_major(&bytes, &shape) } else { bytes })
    } else {
        let mut floats = Vec::with_capacity(room);
        chunks(reader, count, dtype.size, &shape, |chunk| dtype.decode(chunk, &mut floats))?;
        Elements::Floats(if fortran { row_major(&floats, &shape) } else { floats })
    };
    Ok(NpyArray { shape, elements })
}

/// Hands `count` elements of `size` bytes to `take`, in pieces of whole elements.
fn chunks(
    reader: &mut dyn Read,
    count: usize,
    size: usize,
    shape: &[usize],
    mut take: impl FnMut(&[u8]),
) -> Result<(), NpyError> {
    const PIECE: usize = 1 << 16; // a multiple of every element size
    let mut buffer = vec![0; PIECE];
    let total = count * size;
    let mut done = 0;
    while done < total {
        let piece = PIECE.min(total - done);
        let chunk = buffer.get_mut(..piece).unwrap_or_default();
        reader.read_exact(chunk).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                NpyError::Truncated { shape: shape.to_vec(), needed: total as u64, found: done as u64 }
            }
            _ => NpyError::Io(e),
        })?;
        take(chunk);
        done += piece;
    }
    Ok(())
}

/// Turns column-major elements into row-major ones.
fn row_major<T: Copy>(elements: &[T], shape: &[usize]) -> Vec<T> {
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |next, d| {
            let stride = *next;
            *next *= d;
            Some(stride)
        })
        .collect();
    let mut index = vec![0usize; shape.len()];
    let mut at = 0usize;
    let mut out = Vec::with_capacity(elements.len());
    for _ in 0..elements.len() {
        out.extend(elements.get(at).copied());
        for ((i, &extent), &stride) in index.iter_mut().zip(shape).zip(&strides).rev() {
            *i += 1;
            at += stride;
            if *i < extent {
                break;
            }
            at -= *i * stride;
            *i = 0;
        }
    }
    out
}

/// The type in which elements are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WrittenAs {
    /// `float32`.
    #[default]
    Float32,
    /// `int32`, of numbers rounded to the nearest.
    Int32,
    /// `int64`, of numbers rounded to the nearest.
    Int64,
    /// `bool`: whether a number is nearer to 1 than to 0.
    Bool,
}

impl WrittenAs {
    /// What NumPy calls it in a header: little-endian.
    fn descr(self) -> &'static str {
        match self {
            WrittenAs::Float32 => "<f4",
            WrittenAs::Int32 => "<i4",
            WrittenAs::Int64 => "<i8",
            WrittenAs::Bool => "|b1",
        }
    }

    /// Bytes of an element.
    fn size(self) -> usize {
        match self {
            WrittenAs::Float32 | WrittenAs::Int32 => 4,
            WrittenAs::Int64 => 8,
            WrittenAs::Bool => 1,
        }
    }

    fn encode(self, numbers: &[f32], bytes: &mut Vec<u8>) {
        match self {
            WrittenAs::Float32 => bytes.extend(numbers.iter().flat_map(|v| v.to_le_bytes())),
            WrittenAs::Int32 => bytes.extend(numbers.iter().flat_map(|v| (v.round() as i32).to_le_bytes())),
            WrittenAs::Int64 => bytes.extend(numbers.iter().flat_map(|v| (v.round() as i64).to_le_bytes())),
            WrittenAs::Bool => bytes.extend(numbers.iter().map(|&v| u8::from(v > 0.5))),
        }
    }
}

/// A tensor, and the type in which its elements are written: float32 unless another is said.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// The tensor.
    pub tensor: &'a Tensor,
    /// The type.
    pub kind: WrittenAs,
    /// What its elements are indices of, where not they are written but what they stand for.
    pub names: Option<Names<'a>>,
}

/// What indices stand for.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// Numbers, written as `int64`.
    Numbers(&'a [i64]),
    /// Texts, written as `<U` of the longest one's length.
    Texts(&'a [String]),
}

impl Names<'_> {
    /// Characters of the longest text; at least one, as NumPy has it.
    fn width(texts: &[String]) -> usize {
        texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1)
    }

    fn encode(self, indices: &[f32], bytes: &mut Vec<u8>) -> std::io::Result<()> {
        for index in indices {
            let at = index.round() as usize;
            let none = || {
                let message = format!("there is no name for the index {index}");
                std::io::Error::new(std::io::ErrorKind::InvalidInput, message)
            };
            match self {
                Names::Numbers(numbers) => bytes.extend(numbers.get(at).ok_or_else(none)?.to_le_bytes()),
                Names::Texts(texts) => {
                    let end = bytes.len() + 4 * Names::width(texts);
                    bytes.extend(
                        texts.get(at).ok_or_else(none)?.chars().flat_map(|c| u32::from(c).to_le_bytes()),
                    );
                    bytes.resize(end, 0);
                }
            }
        }
        Ok(())
    }
}

impl Written<'_> {
    fn descr(&self) -> String {
        match self.names {
            None => self.kind.descr().into(),
            Some(Names::Numbers(_)) => "<i8".into(),
            Some(Names::Texts(texts)) => format!("<U{}", Names::width(texts)),
        }
    }

    /// Bytes of an element.
    fn size(&self) -> usize {
        match self.names {
            None => self.kind.size(),
            Some(Names::Numbers(_)) => 8,
            Some(Names::Texts(texts)) => 4 * Names::width(texts),
        }
    }
}

impl<'a> From<&'a Tensor> for Written<'a> {
    fn from(tensor: &'a Tensor) -> Written<'a> {
        Written { tensor, kind: WrittenAs::Float32, names: None }
    }
}

/// Writes a tensor as `.npy`, version 1.0, little-endian, row-major.
pub fn write_npy<'a>(mut writer: impl Write, tensor: impl Into<Written<'a>>) -> std::io::Result<()> {
    write(&mut writer, tensor.into())
}

/// Compiled here, once, where it is optimised.
fn write(writer: &mut dyn Write, written: Written<'_>) -> std::io::Result<()> {
    let Written { tensor, kind, names } = written;
    let count = tensor.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if count != Some(tensor.data.len()) {
        let found = tensor.data.len();
        let message = format!("a tensor of shape {:?} cannot have {found} elements", tensor.shape);
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
    }
    writer.write_all(&header::encode(&written.descr(), &tensor.shape)?)?;
    let mut buffer = Vec::with_capacity(1 << 16);
    for chunk in tensor.data.chunks(1 << 14) {
        buffer.clear();
        match names {
            Some(names) => names.encode(chunk, &mut buffer)?,
            None => kind.encode(chunk, &mut buffer),
        }
        writer.write_all(&buffer)?;
    }
    Ok(())
}
