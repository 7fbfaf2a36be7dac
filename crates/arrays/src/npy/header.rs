//! The header of a `.npy` file: a Python dictionary with the element type, the order and the shape.

use std::io::Read;

use super::NpyError;
use crate::half;

/// What a header says.
pub(super) struct Header {
    /// Type of the elements.
    pub(super) dtype: DType,
    /// Whether the first index runs fastest.
    pub(super) fortran: bool,
    /// Shape; empty for a scalar.
    pub(super) shape: Vec<usize>,
    /// Bytes up to the first element.
    pub(super) bytes: u64,
}

/// Kind of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberKind {
    Bool,
    Signed,
    Unsigned,
    Float,
}

/// Type of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DType {
    pub(super) kind: NumberKind,
    /// Bytes of an element: 1, 2, 4 or 8.
    pub(super) size: usize,
    pub(super) big_endian: bool,
}

impl Header {
    /// Reads a header from a file of `length` bytes.
    pub(super) fn read(reader: &mut dyn Read, length: u64) -> Result<Header, NpyError> {
        let mut start = [0u8; 8];
        reader.read_exact(&mut start).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => NpyError::Signature,
            _ => NpyError::Io(e),
        })?;
        let [signature @ .., major, _minor] = start;
        if signature != *b"\x93NUMPY" {
            return Err(NpyError::Signature);
        }
        let (text_length, bytes) = match major {
            1 => {
                let mut n = [0; 2];
                reader.read_exact(&mut n)?;
                (u64::from(u16::from_le_bytes(n)), 10)
            }
            2 | 3 => {
                let mut n = [0; 4];
                reader.read_exact(&mut n)?;
                (u64::from(u32::from_le_bytes(n)), 12)
            }
            _ => return Err(NpyError::Header(format!("version {major} is unknown"))),
        };
        // NumPy itself refuses longer ones.
        if text_length > 10_000 || text_length > length.saturating_sub(bytes) {
            return Err(NpyError::Header(format!("it claims to be {text_length} bytes long")));
        }
        let mut text = Vec::new();
        reader.take(text_length).read_to_end(&mut text)?;
        if (text.len() as u64) < text_length {
            return Err(NpyError::Header("the file ends within it".into()));
        }
        let text = String::from_utf8(text).map_err(|_| NpyError::Header("it is not text".into()))?;
        let (dtype, fortran, shape) = Parser { rest: &text }.dictionary()?;
        Ok(Header { dtype, fortran, shape, bytes: bytes + text_length })
    }
}

/// The header of an array in row-major order whose elements are of this type, as NumPy writes it.
pub(super) fn encode(descr: &str, shape: &[usize]) -> std::io::Result<Vec<u8>> {
    let axes: String = shape.iter().map(|d| format!("{d}, ")).collect();
    let axes = if shape.len() == 1 { axes.trim_end() } else { axes.trim_end_matches(", ") };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({axes}), }}");
    // The elements begin at a multiple of 64.
    let padding = (64 - (10 + text.len() + 1) % 64) % 64;
    text.push_str(&" ".repeat(padding));
    text.push('\n');
    let length = u16::try_from(text.len()).map_err(|_| {
        std::io::Error::new(std::io::ErrorKind::InvalidInput, "the shape has too many axes for a .npy file")
    })?;
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend(length.to_le_bytes());
    out.extend(text.as_bytes());
    Ok(out)
}

/// Reads the dictionary from left to right.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn dictionary(mut self) -> Result<(DType, bool, Vec<usize>), NpyError> {
        let (mut dtype, mut fortran, mut shape) = (None, None, None);
        self.expect("{")?;
        while !self.eat("}") {
            let key = self.string()?;
            self.expect(":")?;
            match key {
                "descr" => dtype = Some(self.dtype()?),
                "fortran_order" => fortran = Some(self.boolean()?),
                "shape" => shape = Some(self.shape()?),
                other => return Err(NpyError::Header(format!("the key {other:?} is unknown"))),
            }
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        let missing = |key| NpyError::Header(format!("{key} is missing"));
        Ok((
            dtype.ok_or_else(|| missing("descr"))?,
            fortran.ok_or_else(|| missing("fortran_order"))?,
            shape.ok_or_else(|| missing("shape"))?,
        ))
    }

    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        let found = rest.strip_prefix(token);
        self.rest = found.unwrap_or(rest);
        found.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), NpyError> {
        if self.eat(token) {
            return Ok(());
        }
        let near: String = self.rest.chars().take(20).collect();
        Err(NpyError::Header(format!("{token:?} was expected before {near:?}")))
    }

    fn string(&mut self) -> Result<&'a str, NpyError> {
        for quote in ["'", "\""] {
            if self.eat(quote) {
                let (text, rest) = self
                    .rest
                    .split_once(quote)
                    .ok_or_else(|| NpyError::Header("a quotation mark is missing".into()))?;
                self.rest = rest;
                return Ok(text);
            }
        }
        self.expect("'")?;
        Ok("")
    }

    fn boolean(&mut self) -> Result<bool, NpyError> {
        if self.eat("True") {
            return Ok(true);
        }
        self.expect("False")?;
        Ok(false)
    }

    fn shape(&mut self) -> Result<Vec<usize>, NpyError> {
        let mut shape = Vec::new();
        self.expect("(")?;
        while !self.eat(")") {
            let rest = self.rest.trim_start();
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, rest) = rest.split_at(digits);
            let extent = number
                .parse()
                .map_err(|_| NpyError::Header(format!("{number:?} is no extent of an axis")))?;
            shape.push(extent);
            self.rest = rest;
            self.eat("L"); // written by Python 2
            if !self.eat(",") {
                self.expect(")")?;
                break;
            }
        }
        if shape.len() > 32 {
            return Err(NpyError::Header(format!("{} axes are too many", shape.len())));
        }
        Ok(shape)
    }

    fn dtype(&mut self) -> Result<DType, NpyError> {
        if self.rest.trim_start().starts_with('[') {
            return Err(NpyError::DType("record".into()));
        }
        let text = self.string()?;
        let unknown = || NpyError::DType(text.into());
        let (big_endian, code) = match text.split_at_checked(1) {
            Some((">", code)) => (true, code),
            Some(("<" | "|" | "=", code)) => (false, code),
            _ => (false, text),
        };
        let (kind, size) = match code {
            "b1" | "?" => (NumberKind::Bool, 1),
            "i1" => (NumberKind::Signed, 1),
            "i2" => (NumberKind::Signed, 2),
            "i4" => (NumberKind::Signed, 4),
            "i8" => (NumberKind::Signed, 8),
            "u1" => (NumberKind::Unsigned, 1),
            "u2" => (NumberKind::Unsigned, 2),
            "u4" => (NumberKind::Unsigned, 4),
            "u8" => (NumberKind::Unsigned, 8),
            "f2" => (NumberKind::Float, 2),
            "f4" => (NumberKind::Float, 4),
            "f8" => (NumberKind::Float, 8),
            _ => return Err(unknown()),
        };
        Ok(DType { kind, size, big_endian: big_endian && size > 1 })
    }
}

impl DType {
    /// Appends the elements of `bytes` (a whole number of them) to `out`, each as the nearest
    /// float.
    pub(super) fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        out.extend(bytes.chunks_exact(self.size).map(|element| {
            let mut little = [0u8; 8];
            for (i, &b) in element.iter().enumerate() {
                let place = if self.big_endian { self.size - 1 - i } else { i };
                if let Some(slot) = little.get_mut(place) {
                    *slot = b;
                }
            }
            self.number(u64::from_le_bytes(little))
        }));
    }

    /// The number whose bits are the low `size` bytes of `bits`.
    fn number(self, bits: u64) -> f32 {
        let unused = 64 - 8 * self.size as u32;
        match (self.kind, self.size) {
            (NumberKind::Float, 8) => f64::from_bits(bits) as f32,
            (NumberKind::Float, 4) => f32::from_bits(bits as u32),
            (NumberKind::Float, _) => half(bits as u16),
            (NumberKind::Signed, _) => (((bits << unused) as i64) >> unused) as f32,
            (NumberKind::Unsigned, _) => bits as f32,
            (NumberKind::Bool, _) => f32::from(u8::from(bits != 0)),
        }
    }
}
