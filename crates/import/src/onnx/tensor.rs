//! Constants: from ONNX's tensor messages to arrays.

use std::borrow::Cow;

use super::external::Folder;
use super::messages::{DataType, SparseTensorProto, TensorProto};
use crate::elements::{bfloat, half, raw};
use crate::value::{Ints, MAX_ELEMENTS};
use cryptflow_graph::Array;

/// A constant whose elements the file does not hold has at most so many.
const MAX_SPARSE: usize = crate::room::MAX_GROWN;

/// A constant of the model.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Float(Array),
    /// Integers and flags.
    Int(Ints),
    /// Strings, complex numbers and the like: they may be there, but nothing can compute on them.
    Opaque(String),
}

/// Lengths of axes as usable numbers, whose product is no more than a constant may have.
fn shape(dims: &[i64]) -> Result<(Vec<usize>, usize), String> {
    let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let shape = shape.ok_or_else(|| format!("the constant has the shape {dims:?}"))?;
    let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MAX_ELEMENTS);
    let n = n.ok_or_else(|| {
        format!("the constant claims the shape {dims:?}: more than {MAX_ELEMENTS} elements")
    })?;
    Ok((shape, n))
}

/// The constant in a message, or what is wrong with it.
pub(super) fn constant(tensor: &TensorProto, folder: &Folder) -> Result<Constant, String> {
    let Ok(dtype) = DataType::try_from(tensor.data_type) else {
        return Ok(Constant::Opaque(format!("number {} (8-bit floats and the like)", tensor.data_type)));
    };
    let width = match dtype {
        DataType::Uint8 | DataType::Int8 | DataType::Bool => 1,
        DataType::Uint16 | DataType::Int16 | DataType::Float16 | DataType::Bfloat16 => 2,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        _ => return Ok(Constant::Opaque(format!("{dtype:?}"))),
    };
    let (shape, n) = shape(&tensor.dims)?;
    let content: Cow<'_, [u8]> = if tensor.data_location == 1 {
        folder.elements(tensor, n * width)?.into()
    } else {
        tensor.raw_data.as_slice().into()
    };
    if dtype.is_float() {
        let data = floats(tensor, &content, dtype, n)?;
        return Array::new(shape, data).map(Constant::Float).map_err(|e| e.to_string());
    }
    Ok(Constant::Int(Ints { shape, data: integers(tensor, &content, dtype, n)? }))
}

fn floats(t: &TensorProto, content: &[u8], dtype: DataType, n: usize) -> Result<Vec<f32>, String> {
    if !content.is_empty() {
        return match dtype {
            DataType::Float => raw(content, n, f32::from_le_bytes),
            DataType::Double => raw(content, n, |b| f64::from_le_bytes(b) as f32),
            DataType::Float16 => raw(content, n, |b| half(u16::from_le_bytes(b))),
            _ => raw(content, n, |b| bfloat(u16::from_le_bytes(b))),
        };
    }
    match dtype {
        DataType::Float => listed(t.float_data.iter().copied(), n),
        DataType::Double => listed(t.double_data.iter().map(|&v| v as f32), n),
        DataType::Float16 => listed(t.int32_data.iter().map(|&v| half(v as u16)), n),
        _ => listed(t.int32_data.iter().map(|&v| bfloat(v as u16)), n),
    }
}

fn integers(t: &TensorProto, content: &[u8], dtype: DataType, n: usize) -> Result<Vec<i64>, String> {
    if !content.is_empty() {
        return match dtype {
            DataType::Int64 => raw(content, n, i64::from_le_bytes),
            DataType::Uint64 => raw(content, n, |b| u64::from_le_bytes(b) as i64),
            DataType::Int32 => raw(content, n, |b| i32::from_le_bytes(b).into()),
            DataType::Uint32 => raw(content, n, |b| u32::from_le_bytes(b).into()),
            DataType::Int16 => raw(content, n, |b| i16::from_le_bytes(b).into()),
            DataType::Uint16 => raw(content, n, |b| u16::from_le_bytes(b).into()),
            DataType::Int8 => raw(content, n, |b| i8::from_le_bytes(b).into()),
            DataType::Bool => raw(content, n, |b| u8::from_le_bytes(b).min(1).into()),
            _ => raw(content, n, |b| u8::from_le_bytes(b).into()),
        };
    }
    match dtype {
        DataType::Int64 => listed(t.int64_data.iter().copied(), n),
        DataType::Uint64 | DataType::Uint32 => listed(t.uint64_data.iter().map(|&v| v as i64), n),
        DataType::Bool => listed(t.int32_data.iter().map(|&v| i64::from(v != 0)), n),
        _ => listed(t.int32_data.iter().map(|&v| v.into()), n),
    }
}

/// Elements as a list: all of them.
fn listed<T>(values: impl ExactSizeIterator<Item = T>, n: usize) -> Result<Vec<T>, String> {
    if values.len() != n {
        return Err(format!("the constant's shape needs {n} elements, but the file holds {}", values.len()));
    }
    Ok(values.collect())
}

/// A constant with most of its elements left out, made whole.
pub(super) fn sparse(tensor: &SparseTensorProto, folder: &Folder) -> Result<Constant, String> {
    let (shape, n) = shape(&tensor.dims)?;
    if n > MAX_SPARSE {
        return Err(format!("the sparse constant claims {n} elements: more than {MAX_SPARSE}"));
    }
    let (Some(values), Some(indices)) = (&tensor.values, &tensor.indices) else {
        return Err("the sparse constant lacks its values or their places".into());
    };
    let Constant::Int(places) = constant(indices, folder)? else {
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
        other => return Err(format!("the places of the sparse constant have the shape {other:?}")),
    };
    fn scatter<T: Copy>(n: usize, zero: T, places: &[i64], values: &[T]) -> Result<Vec<T>, String> {
        let mut data = vec![zero; n];
        if places.len() != values.len() {
            return Err(format!(
                "the sparse constant has {} values, but {} places",
                values.len(),
                places.len()
            ));
        }
        for (&place, &value) in places.iter().zip(values) {
            let at = usize::try_from(place).ok().and_then(|i| data.get_mut(i));
            *at.ok_or("the sparse constant has an element outside of its shape")? = value;
        }
        Ok(data)
    }
    match constant(values, folder)? {
        Constant::Float(a) => {
            let data = scatter(n, 0.0, &places, &a.data)?;
            Array::new(shape, data).map(Constant::Float).map_err(|e| e.to_string())
        }
        Constant::Int(i) => Ok(Constant::Int(Ints { shape, data: scatter(n, 0, &places, &i.data)? })),
        opaque => Ok(opaque),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dtype: DataType, dims: &[i64]) -> TensorProto {
        TensorProto { data_type: dtype as i32, dims: dims.to_vec(), ..TensorProto::default() }
    }

    fn read(t: &TensorProto) -> Result<Constant, String> {
        constant(t, &Folder::default())
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
            let error = read(&t).unwrap_err();
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
            let Constant::Float(a) = sparse(&of(indices), &Folder::default()).unwrap() else { panic!() };
            assert_eq!(a.data.as_slice(), [0.0, 5.0, 0.0, 0.0, 0.0, 7.0]);
        }
        for wrong in
            [ints(&[2], &[1, 6]), ints(&[2], &[-1, 1]), ints(&[1], &[1]), ints(&[2, 2], &[0, 3, 1, 2])]
        {
            sparse(&of(wrong), &Folder::default()).unwrap_err();
        }
    }
}
