//! Constants, as TensorFlow's tensor messages hold them.

use cryptflow_arrays::{Encoding, Numbers, bfloat, half};

use super::messages::{DataType, TensorProto, TensorShapeProto};
use crate::budget::MAX_GROWN;
use crate::tensor::{self, Constant, Opaque, checked_shape, floats, integers};
use crate::value::Fault;

/// The static shape that a message gives, if it does.
pub(super) fn static_shape(shape: &TensorShapeProto) -> Option<Vec<i64>> {
    (!shape.unknown_rank).then(|| shape.dim.iter().map(|d| d.size).collect())
}

/// The constant in a message, or what is wrong with it.
pub(super) fn read_constant(tensor: &TensorProto) -> Result<Constant, Fault> {
    let dtype = DataType::try_from(tensor.dtype)
        .map_err(|_| format!("the constant has the unknown element type {}", tensor.dtype))?;
    let dims = static_shape(tensor.tensor_shape.as_ref().unwrap_or(&TensorShapeProto::default()))
        .ok_or("the constant has no static shape")?;
    let (shape, n) = checked_shape(&dims)?;
    let Some(encoding) = dtype.encoding() else {
        return Ok(Constant::Opaque(Opaque::of(format!("{dtype:?}"))));
    };
    let elements = match tensor.tensor_content.as_slice() {
        [] => fill_up(listed(tensor, encoding), n)?,
        content => tensor::read(encoding, content, n)?,
    };
    Constant::new(shape, elements)
}

impl DataType {
    /// How elements of a type lie in memory, where they are numbers.
    pub(crate) fn encoding(self) -> Option<Encoding> {
        Some(match self {
            DataType::Half => Encoding::Half,
            DataType::Bfloat16 => Encoding::Bfloat,
            DataType::Float => Encoding::Single,
            DataType::Double => Encoding::Double,
            DataType::Int8 => Encoding::Int8,
            DataType::Int16 => Encoding::Int16,
            DataType::Int32 => Encoding::Int32,
            DataType::Int64 => Encoding::Int64,
            DataType::Uint8 => Encoding::Uint8,
            DataType::Uint16 => Encoding::Uint16,
            DataType::Uint32 => Encoding::Uint32,
            DataType::Uint64 => Encoding::Uint64,
            DataType::Bool => Encoding::Flag,
            DataType::Invalid
            | DataType::String
            | DataType::Complex64
            | DataType::Complex128
            | DataType::Qint8
            | DataType::Quint8
            | DataType::Qint16
            | DataType::Quint16
            | DataType::Qint32
            | DataType::Resource
            | DataType::Variant => return None,
        })
    }
}

/// The elements that a message lists, in the list of their type.
fn listed(t: &TensorProto, encoding: Encoding) -> Numbers {
    match encoding {
        Encoding::Single => Numbers::Floats(t.float_val.clone()),
        Encoding::Double => floats(&t.double_val, |v| v as f32),
        Encoding::Half => floats(&t.half_val, |v| half(v as u16)),
        Encoding::Bfloat => floats(&t.half_val, |v| bfloat(v as u16)),
        Encoding::Int64 => integers(&t.int64_val, |v| v),
        Encoding::Uint64 => integers(&t.uint64_val, |v| v as i64),
        Encoding::Uint32 => integers(&t.uint32_val, i64::from),
        Encoding::Flag => integers(&t.bool_val, i64::from),
        Encoding::Int8 | Encoding::Int16 | Encoding::Int32 | Encoding::Uint8 | Encoding::Uint16 => {
            integers(&t.int_val, i64::from)
        }
    }
}

/// Where a list is shorter than the tensor, its last element stands for the rest.
fn fill_up(listed: Numbers, n: usize) -> Result<Numbers, Fault> {
    match listed.len() {
        held if held > n => tensor::exactly(listed, n),
        held if held < n && n > MAX_GROWN => {
            Err(format!("the constant claims {n} elements, but the file holds {held}").into())
        }
        _ => Ok(tensor::repeating_last(listed, n)),
    }
}
