//! Tensors, and how the protocol has their elements in bytes and in JSON.

use cryptflow_arrays::{Encoding, Numbers};
use serde_json::Value;

/// Integers beyond this magnitude are not told apart by 32-bit floats, which models compute with.
const EXACT: i64 = 1 << 24;

/// The types of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datatype {
    /// True or false: a byte.
    Bool,
    /// Unsigned integers.
    Uint8,
    /// 16 bits.
    Uint16,
    /// 32 bits.
    Uint32,
    /// 64 bits.
    Uint64,
    /// Signed integers.
    Int8,
    /// 16 bits.
    Int16,
    /// 32 bits.
    Int32,
    /// 64 bits.
    Int64,
    /// IEEE half precision.
    Fp16,
    /// IEEE single precision.
    Fp32,
    /// IEEE double precision.
    Fp64,
    /// The upper half of single precision.
    Bf16,
}

/// Every type, with its name in the protocol.
const DATATYPES: [(Datatype, &str, Encoding); 13] = [
    (Datatype::Bool, "BOOL", Encoding::Flag),
    (Datatype::Uint8, "UINT8", Encoding::Uint8),
    (Datatype::Uint16, "UINT16", Encoding::Uint16),
    (Datatype::Uint32, "UINT32", Encoding::Uint32),
    (Datatype::Uint64, "UINT64", Encoding::Uint64),
    (Datatype::Int8, "INT8", Encoding::Int8),
    (Datatype::Int16, "INT16", Encoding::Int16),
    (Datatype::Int32, "INT32", Encoding::Int32),
    (Datatype::Int64, "INT64", Encoding::Int64),
    (Datatype::Fp16, "FP16", Encoding::Half),
    (Datatype::Fp32, "FP32", Encoding::Single),
    (Datatype::Fp64, "FP64", Encoding::Double),
    (Datatype::Bf16, "BF16", Encoding::Bfloat),
];

/// Why a tensor cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TensorError {
    /// A type that the protocol does not have, or that holds no numbers.
    #[error(
        "tensor {name:?}: elements of type {datatype:?} cannot be used: send FP32 (or UINT8 for pictures)"
    )]
    Datatype {
        /// The tensor.
        name: String,
        /// Its type.
        datatype: String,
    },
    /// A shape that is none.
    #[error("tensor {name:?}: the shape {shape:?} is none")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<i64>,
    },
    /// Other elements than the shape says.
    #[error("tensor {name:?}: its shape {shape:?} has {wanted} elements, and {found} {what} were sent")]
    Length {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Elements, or bytes, of that shape.
        wanted: usize,
        /// What was sent.
        found: usize,
        /// `elements` or `bytes`.
        what: &'static str,
    },
    /// An element that is no number of the type.
    #[error("tensor {name:?}: element {at} is {found}, which is no {datatype}")]
    Element {
        /// The tensor.
        name: String,
        /// Which element.
        at: usize,
        /// What it is.
        found: String,
        /// The type.
        datatype: &'static str,
    },
    /// An integer that is too large.
    #[error(
        "tensor {name:?}: element {at} is {found}; models compute with floats, which hold integers up to 2^24 exactly"
    )]
    TooLarge {
        /// The tensor.
        name: String,
        /// Which element.
        at: usize,
        /// What it is.
        found: i64,
    },
}

/// A tensor: contiguous, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// The type that its elements had, or are to have.
    pub datatype: Datatype,
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its elements, as many as the shape says.
    pub data: Vec<f32>,
}

impl Datatype {
    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        DATATYPES.iter().find(|(datatype, _, _)| *datatype == self).map_or("", |(_, name, _)| name)
    }

    /// The type of this name, for a tensor.
    ///
    /// # Errors
    /// It has none, or holds no numbers.
    pub fn of(name: &str, tensor: &str) -> Result<Datatype, TensorError> {
        let known = DATATYPES.iter().find(|(_, known, _)| *known == name).map(|(datatype, _, _)| *datatype);
        known.ok_or_else(|| TensorError::Datatype { name: tensor.into(), datatype: name.into() })
    }

    fn encoding(self) -> Encoding {
        DATATYPES.iter().find(|(datatype, _, _)| *datatype == self).map_or(Encoding::Single, |(_, _, e)| *e)
    }

    /// Whether its elements are integers.
    fn is_integer(self) -> bool {
        !matches!(self, Datatype::Fp16 | Datatype::Fp32 | Datatype::Fp64 | Datatype::Bf16)
    }
}

/// How many elements a shape has, and its axes.
fn axes(name: &str, shape: &[i64]) -> Result<(Vec<usize>, usize), TensorError> {
    let wrong = || TensorError::Shape { name: name.into(), shape: shape.to_vec() };
    let axes: Vec<usize> =
        shape.iter().map(|&n| usize::try_from(n).map_err(|_| wrong())).collect::<Result<_, _>>()?;
    let count = axes.iter().try_fold(1usize, |all, &n| all.checked_mul(n)).ok_or_else(wrong)?;
    Ok((axes, count))
}

impl Tensor {
    /// Of the bytes of its elements, little-endian, one after another.
    ///
    /// # Errors
    /// Other bytes than the shape and the type take, or integers that no float holds.
    pub fn of_bytes(
        name: &str,
        datatype: Datatype,
        shape: &[i64],
        bytes: &[u8],
    ) -> Result<Tensor, TensorError> {
        let (shape, count) = axes(name, shape)?;
        let wanted = count.saturating_mul(datatype.encoding().width());
        if bytes.len() != wanted {
            let name = name.into();
            return Err(TensorError::Length { name, shape, wanted, found: bytes.len(), what: "bytes" });
        }
        let data = match datatype.encoding().read(bytes) {
            Numbers::Floats(data) => data,
            Numbers::Integers(data) => exact(name, &data)?,
        };
        Ok(Tensor { name: name.into(), datatype, shape, data })
    }

    /// Of elements in JSON: one list, or lists of lists.
    ///
    /// # Errors
    /// Other elements than the shape says, or such that the type does not have.
    pub fn of_json(
        name: &str,
        datatype: Datatype,
        shape: &[i64],
        elements: &Value,
    ) -> Result<Tensor, TensorError> {
        let (shape, count) = axes(name, shape)?;
        let mut flat = Vec::new();
        flatten(elements, &mut flat);
        if flat.len() != count {
            let name = name.into();
            return Err(TensorError::Length {
                name,
                shape,
                wanted: count,
                found: flat.len(),
                what: "elements",
            });
        }
        let mut data = Vec::with_capacity(count);
        for (at, element) in flat.into_iter().enumerate() {
            data.push(number(name, datatype, at, element)?);
        }
        Ok(Tensor { name: name.into(), datatype, shape, data })
    }

    /// Of numbers, as gRPC's typed contents have them.
    ///
    /// # Errors
    /// Other elements than the shape says, or integers that no float holds.
    pub fn of_numbers(
        name: &str,
        datatype: Datatype,
        shape: &[i64],
        numbers: Numbers,
    ) -> Result<Tensor, TensorError> {
        let (shape, count) = axes(name, shape)?;
        if numbers.len() != count {
            let name = name.into();
            let found = numbers.len();
            return Err(TensorError::Length { name, shape, wanted: count, found, what: "elements" });
        }
        let data = match numbers {
            Numbers::Floats(data) => data,
            Numbers::Integers(data) => exact(name, &data)?,
        };
        Ok(Tensor { name: name.into(), datatype, shape, data })
    }

    /// The bytes of its elements.
    pub fn bytes(&self) -> Vec<u8> {
        let each = |to: fn(f32) -> Vec<u8>| self.data.iter().flat_map(|&v| to(v)).collect();
        match self.datatype {
            Datatype::Bool => each(|v| vec![u8::from(v > 0.5)]),
            Datatype::Uint8 => each(|v| (v.round() as u8).to_le_bytes().to_vec()),
            Datatype::Uint16 => each(|v| (v.round() as u16).to_le_bytes().to_vec()),
            Datatype::Uint32 => each(|v| (v.round() as u32).to_le_bytes().to_vec()),
            Datatype::Uint64 => each(|v| (v.round() as u64).to_le_bytes().to_vec()),
            Datatype::Int8 => each(|v| (v.round() as i8).to_le_bytes().to_vec()),
            Datatype::Int16 => each(|v| (v.round() as i16).to_le_bytes().to_vec()),
            Datatype::Int32 => each(|v| (v.round() as i32).to_le_bytes().to_vec()),
            Datatype::Int64 => each(|v| (v.round() as i64).to_le_bytes().to_vec()),
            Datatype::Fp64 => each(|v| f64::from(v).to_le_bytes().to_vec()),
            // Outputs that have the short ones are turned into these.
            Datatype::Fp32 | Datatype::Fp16 | Datatype::Bf16 => each(|v| v.to_le_bytes().to_vec()),
        }
    }

    /// Its elements in JSON, in one list.
    pub fn json(&self) -> Vec<Value> {
        let element = |&v: &f32| match self.datatype {
            Datatype::Bool => Value::from(v > 0.5),
            datatype if datatype.is_integer() => Value::from(v.round() as i64),
            // JSON has no other numbers.
            _ => serde_json::Number::from_f64(v.into()).map_or(Value::Null, Value::Number),
        };
        self.data.iter().map(element).collect()
    }
}

/// Integers as floats that hold them.
fn exact(name: &str, integers: &[i64]) -> Result<Vec<f32>, TensorError> {
    integers.iter().enumerate().map(|(at, &found)| held(name, at, found)).collect()
}

/// An integer as a float that holds it.
fn held(name: &str, at: usize, found: i64) -> Result<f32, TensorError> {
    let is = found.unsigned_abs() <= EXACT.unsigned_abs();
    if is { Ok(found as f32) } else { Err(TensorError::TooLarge { name: name.into(), at, found }) }
}

fn flatten<'a>(value: &'a Value, flat: &mut Vec<&'a Value>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| flatten(element, flat)),
        other => flat.push(other),
    }
}

fn number(name: &str, datatype: Datatype, at: usize, element: &Value) -> Result<f32, TensorError> {
    let wrong = || TensorError::Element {
        name: name.into(),
        at,
        found: element.to_string(),
        datatype: datatype.name(),
    };
    if datatype.is_integer() {
        let integer = match element {
            Value::Bool(flag) if datatype == Datatype::Bool => Some(i64::from(*flag)),
            Value::Number(number) => number.as_i64(),
            // Nothing else is an integer.
            _ => None,
        };
        return held(name, at, integer.ok_or_else(wrong)?);
    }
    element.as_f64().map(|v| v as f32).ok_or_else(wrong)
}
