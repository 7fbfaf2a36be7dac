//! Constants, as ONNX's tensor messages hold them.

use std::borrow::Cow;

use cryptflow_arrays::{Elements, Encoding, bfloat, half};

use super::external::Folder;
use super::messages::{DataType, SparseTensorProto, TensorProto};
use crate::budget::MAX_GROWN;
use crate::tensor::{self, Constant, checked_shape, floats, integers};
use crate::value::Fault;

/// The constant in a message, or what is wrong with it.
pub(super) fn read_constant(tensor: &TensorProto, folder: &Folder) -> Result<Constant, Fault> {
    let Ok(dtype) = DataType::try_from(tensor.data_type) else {
        return Ok(Constant::Opaque(format!("number {} (8-bit floats and the like)", tensor.data_type)));
    };
    let Some(encoding) = encoding(dtype) else { return Ok(Constant::Opaque(format!("{dtype:?}"))) };
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
    })
}

/// The elements that a message lists, in the list of their type.
fn listed(t: &TensorProto, encoding: Encoding) -> Elements {
    match encoding {
        Encoding::Single => Elements::Floats(t.float_data.clone()),
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
        Constant::Float(array) => Elements::Floats(array.data.to_vec()),
        Constant::Int(ints) => Elements::Integers(ints.data),
        opaque @ Constant::Opaque(_) => return Ok(opaque),
    };
    Constant::new(shape, tensor::scattered(&elements, n, &places)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dtype: DataType, dims: &[i64]) -> TensorProto {
        TensorProto { data_type: dtype as i32, dims: dims.to_vec(), ..TensorProto::default() }
    }

    fn read(t: &TensorProto) -> Result<Constant, Fault> {
        read_constant(t, &Folder::default())
    }

    #[test]
    fn every_way_to_hold_floats() {
        let t = |dtype| tensor(dtype, &[2]);
        let table = [
            TensorProto { raw_data: [1.5f32, -2.0].map(f32::to_le_bytes).concat(), ..t(DataType::Float) },
            TensorProto { raw_data: [1.5f64, -2.0].map(f64::to_le_bytes).concat(), ..t(DataType::Double) },
            TensorProto { raw_data: vec![0, 0x3e, 0, 0xc0], ..t(DataType::Float16) },
            TensorProto { raw_data: vec![0xc0, 0x3f, 0, 0xc0], ..t(DataType::Bfloat16) },
            TensorProto { float_data: vec![1.5, -2.0], ..t(DataType::Float) },
            TensorProto { double_data: vec![1.5, -2.0], ..t(DataType::Double) },
            TensorProto { int32_data: vec![0x3e00, 0xc000], ..t(DataType::Float16) },
            TensorProto { int32_data: vec![0x3fc0, 0xc000], ..t(DataType::Bfloat16) },
        ];
        for t in table {
            let Constant::Float(a) = read(&t).unwrap() else { panic!("{t:?}") };
            assert_eq!(a.data.as_slice(), [1.5, -2.0], "{t:?}");
        }
    }

    #[test]
    fn every_way_to_hold_integers() {
        let t = |dtype| tensor(dtype, &[2]);
        let table = [
            (
                TensorProto { raw_data: [5i32, -3].map(i32::to_le_bytes).concat(), ..t(DataType::Int32) },
                [5, -3],
            ),
            (
                TensorProto { raw_data: [5i64, -3].map(i64::to_le_bytes).concat(), ..t(DataType::Int64) },
                [5, -3],
            ),
            (
                TensorProto { raw_data: [5i16, -3].map(i16::to_le_bytes).concat(), ..t(DataType::Int16) },
                [5, -3],
            ),
            (TensorProto { raw_data: vec![5, 253], ..t(DataType::Int8) }, [5, -3]),
            (TensorProto { raw_data: vec![5, 253], ..t(DataType::Uint8) }, [5, 253]),
            (TensorProto { raw_data: vec![1, 0], ..t(DataType::Bool) }, [1, 0]),
            (TensorProto { int32_data: vec![5, -3], ..t(DataType::Int32) }, [5, -3]),
            (TensorProto { int32_data: vec![5, -3], ..t(DataType::Int8) }, [5, -3]),
            (TensorProto { int32_data: vec![7, 0], ..t(DataType::Bool) }, [1, 0]),
            (TensorProto { int64_data: vec![5, -3], ..t(DataType::Int64) }, [5, -3]),
            (TensorProto { uint64_data: vec![5, 3], ..t(DataType::Uint32) }, [5, 3]),
            (TensorProto { uint64_data: vec![5, 3], ..t(DataType::Uint64) }, [5, 3]),
        ];
        for (t, want) in table {
            let Constant::Int(a) = read(&t).unwrap() else { panic!("{t:?}") };
            assert_eq!(a.data, want, "{t:?}");
        }
    }

    #[test]
    fn sizes_are_checked() {
        let float = |shape: &[i64]| tensor(DataType::Float, shape);
        let table = [
            (float(&[1 << 40]), "more than"),
            (float(&[1 << 27]), "but the file holds 0"),
            (float(&[i64::MAX, i64::MAX]), "more than"),
            (float(&[-1]), "the shape [-1]"),
            (TensorProto { raw_data: vec![0; 7], ..float(&[2]) }, "but the file holds 7 bytes"),
            (TensorProto { raw_data: vec![0; 4], ..float(&[2]) }, "but the file holds 4 bytes"),
            (TensorProto { float_data: vec![0.0; 3], ..float(&[2]) }, "but the file holds 3"),
            (TensorProto { data_location: 1, ..float(&[2]) }, "does not say in which"),
        ];
        for (t, reason) in table {
            let error = read(&t).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(matches!(read(&tensor(DataType::String, &[1])), Ok(Constant::Opaque(_))));
        assert!(matches!(read(&TensorProto { data_type: 17, ..float(&[2]) }), Ok(Constant::Opaque(_))));
    }

    #[test]
    fn sparse_constants_are_made_whole() {
        let ints = |dims: &[i64], data: &[i64]| TensorProto {
            int64_data: data.to_vec(),
            ..tensor(DataType::Int64, dims)
        };
        let values = TensorProto { float_data: vec![5.0, 7.0], ..tensor(DataType::Float, &[2]) };
        let of = |indices: TensorProto| SparseTensorProto {
            values: Some(values.clone()),
            indices: Some(indices),
            dims: vec![2, 3],
        };
        for indices in [ints(&[2], &[1, 5]), ints(&[2, 2], &[0, 1, 1, 2])] {
            let Constant::Float(a) = read_sparse(&of(indices), &Folder::default()).unwrap() else { panic!() };
            assert_eq!(a.data.as_slice(), [0.0, 5.0, 0.0, 0.0, 0.0, 7.0]);
        }
        for wrong in
            [ints(&[2], &[1, 6]), ints(&[2], &[-1, 1]), ints(&[1], &[1]), ints(&[2, 2], &[0, 3, 1, 2])]
        {
            read_sparse(&of(wrong), &Folder::default()).unwrap_err();
        }
    }
}
