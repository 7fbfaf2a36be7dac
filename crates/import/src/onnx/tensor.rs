//! Constants, as ONNX's tensor messages hold them.

use std::borrow::Cow;
use std::rc::Rc;

use cryptflow_arrays::{Encoding, Numbers, bfloat, half};

use super::external::Folder;
use super::messages::{DataType, SparseTensorProto, TensorProto};
use crate::budget::MAX_GROWN;
use crate::tensor::{self, Constant, Opaque, checked_shape, floats, integers};
use crate::value::Fault;

/// The constant in a message, or what is wrong with it.
pub(super) fn read_constant(tensor: &TensorProto, folder: &Folder) -> Result<Constant, Fault> {
    let Ok(dtype) = DataType::try_from(tensor.data_type) else {
        let dtype = format!("number {} (8-bit floats and the like)", tensor.data_type);
        return Ok(Constant::Opaque(Opaque::of(dtype)));
    };
    if dtype == DataType::String {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let texts = Rc::new(tensor.string_data.iter().map(text).collect());
        return Ok(Constant::Opaque(Opaque { dtype: format!("{dtype:?}"), texts }));
    }
    if let DataType::Int4 | DataType::Uint4 = dtype {
        return halves(tensor, folder, dtype == DataType::Int4);
    }
    let Some(encoding) = encoding(dtype) else {
        return Ok(Constant::Opaque(Opaque::of(format!("{dtype:?}"))));
    };
    let (shape, n) = checked_shape(&tensor.dims)?;
    let content: Cow<'_, [u8]> = if tensor.data_location == 1 {
        folder.elements(tensor, n * encoding.width())?.into()
    } else {
        tensor.raw_data.as_slice().into()
    };
    let elements = if content.is_empty() {
        tensor::exactly(listed(tensor, encoding), n)?
    } else {
        tensor::read(encoding, &content, n)?
    };
    Constant::new(shape, elements)
}

/// Integers of four bits: two to a byte, the lower half first.
fn halves(tensor: &TensorProto, folder: &Folder, signed: bool) -> Result<Constant, Fault> {
    let (shape, n) = checked_shape(&tensor.dims)?;
    let bytes = n.div_ceil(2);
    let content: Cow<'_, [u8]> = if tensor.data_location == 1 {
        folder.elements(tensor, bytes)?.into()
    } else if tensor.raw_data.is_empty() {
        tensor.int32_data.iter().map(|&v| v as u8).collect()
    } else {
        tensor.raw_data.as_slice().into()
    };
    if content.len() != bytes {
        return Err(format!("{n} elements of four bits lie in {} bytes", content.len()).into());
    }
    let number = |half: u8| {
        let low = half & 15;
        i64::from(if signed { (low << 4) as i8 >> 4 } else { low as i8 })
    };
    let elements = content.iter().flat_map(|&byte| [number(byte), number(byte >> 4)]).take(n).collect();
    Constant::new(shape, Numbers::Integers(elements))
}

/// How elements of a type lie in memory, where they are numbers.
fn encoding(dtype: DataType) -> Option<Encoding> {
    Some(match dtype {
        DataType::Float16 => Encoding::Half,
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
        DataType::Undefined | DataType::String | DataType::Complex64 | DataType::Complex128 => return None,
        // Two of them are a byte: `halves` reads them.
        DataType::Int4 | DataType::Uint4 => return None,
    })
}

/// The elements that a message lists, in the list of their type.
fn listed(t: &TensorProto, encoding: Encoding) -> Numbers {
    match encoding {
        Encoding::Single => Numbers::Floats(t.float_data.clone()),
        Encoding::Double => floats(&t.double_data, |v| v as f32),
        Encoding::Half => floats(&t.int32_data, |v| half(v as u16)),
        Encoding::Bfloat => floats(&t.int32_data, |v| bfloat(v as u16)),
        Encoding::Int64 => integers(&t.int64_data, |v| v),
        Encoding::Uint64 | Encoding::Uint32 => integers(&t.uint64_data, |v| v as i64),
        Encoding::Flag => integers(&t.int32_data, |v| i64::from(v != 0)),
        Encoding::Int8 | Encoding::Int16 | Encoding::Int32 | Encoding::Uint8 | Encoding::Uint16 => {
            integers(&t.int32_data, i64::from)
        }
    }
}

/// A constant with most of its elements left out, made whole.
pub(super) fn read_sparse(tensor: &SparseTensorProto, folder: &Folder) -> Result<Constant, Fault> {
    let (shape, n) = checked_shape(&tensor.dims)?;
    if n > MAX_GROWN {
        return Err(format!("the sparse constant claims {n} elements: more than {MAX_GROWN}").into());
    }
    let (Some(values), Some(indices)) = (&tensor.values, &tensor.indices) else {
        return Err("the sparse constant lacks its values or their places".into());
    };
    let Constant::Int(places) = read_constant(indices, folder)? else {
        return Err("the places of the sparse constant are no integers".into());
    };
    // One number for each element, or one for each of its axes.
    let places: Vec<i64> = match places.shape.as_slice() {
        [_] => places.data,
        [_, rank] if *rank == shape.len() && *rank > 0 => {
            let flat = |at: &[i64]| {
                let step = |sum: i64, (&i, &n): (&i64, &usize)| {
                    let inside = i >= 0 && i < n as i64;
                    if inside { sum.checked_mul(n as i64)?.checked_add(i) } else { None }
                };
                at.iter().zip(&shape).try_fold(0, step).unwrap_or(-1)
            };
            places.data.chunks_exact(*rank).map(flat).collect()
        }
        other => return Err(format!("the places of the sparse constant have the shape {other:?}").into()),
    };
    let elements = match read_constant(values, folder)? {
        Constant::Float(array) => Numbers::Floats(array.data.to_vec()),
        Constant::Int(ints) => Numbers::Integers(ints.data),
        opaque @ Constant::Opaque(_) => return Ok(opaque),
    };
    Constant::new(shape, tensor::scattered(&elements, n, &places)?)
}
