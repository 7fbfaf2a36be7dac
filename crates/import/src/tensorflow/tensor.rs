//! Constants: from TensorFlow's tensor messages to arrays.

use super::messages::{DataType, TensorProto, TensorShapeProto};
use crate::elements::{bfloat, half, raw};
use crate::room::MAX_GROWN;
pub(super) use crate::value::{Ints, MAX_ELEMENTS};
use cryptflow_graph::Array;

/// A constant whose elements the file does not hold (one value stands for all) has at most so many.
const MAX_REPEATED: usize = MAX_GROWN;

/// A constant of the source graph.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Float(Array),
    Int(Ints),
    /// Strings and the like: they may be there, but nothing can compute on them.
    Opaque(DataType),
}

/// The static shape that a message gives, if it does.
pub(super) fn static_shape(shape: &TensorShapeProto) -> Option<Vec<i64>> {
    (!shape.unknown_rank).then(|| shape.dim.iter().map(|d| d.size).collect())
}

/// The constant in a message, or what is wrong with it.
pub(super) fn constant(tensor: &TensorProto) -> Result<Constant, String> {
    let dtype = DataType::try_from(tensor.dtype)
        .map_err(|_| format!("the constant has the unknown element type {}", tensor.dtype))?;
    let dims = static_shape(tensor.tensor_shape.as_ref().unwrap_or(&TensorShapeProto::default()))
        .ok_or("the constant has no static shape")?;
    let shape: Vec<usize> = dims
        .iter()
        .map(|&d| usize::try_from(d).map_err(|_| format!("the constant has the shape {dims:?}")))
        .collect::<Result<_, _>>()?;
    let n =
        shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MAX_ELEMENTS).ok_or_else(
            || format!("the constant claims the shape {shape:?}: more than {MAX_ELEMENTS} elements"),
        )?;
    if dtype.is_float() {
        let data = floats(tensor, dtype, n)?;
        return Array::new(shape, data).map(Constant::Float).map_err(|e| e.to_string());
    }
    if dtype.is_integer() {
        let data = integers(tensor, dtype, n)?;
        return Ok(Constant::Int(Ints { shape, data }));
    }
    Ok(Constant::Opaque(dtype))
}

fn floats(t: &TensorProto, dtype: DataType, n: usize) -> Result<Vec<f32>, String> {
    let content = &t.tensor_content;
    if !content.is_empty() {
        return match dtype {
            DataType::Float => raw(content, n, f32::from_le_bytes),
            DataType::Double => raw(content, n, |b| f64::from_le_bytes(b) as f32),
            DataType::Half => raw(content, n, |b| half(u16::from_le_bytes(b))),
            _ => raw(content, n, |b| bfloat(u16::from_le_bytes(b))),
        };
    }
    match dtype {
        DataType::Float => listed(t.float_val.iter().copied(), n, 0.0),
        DataType::Double => listed(t.double_val.iter().map(|&v| v as f32), n, 0.0),
        DataType::Half => listed(t.half_val.iter().map(|&v| half(v as u16)), n, 0.0),
        _ => listed(t.half_val.iter().map(|&v| bfloat(v as u16)), n, 0.0),
    }
}

fn integers(t: &TensorProto, dtype: DataType, n: usize) -> Result<Vec<i64>, String> {
    let content = &t.tensor_content;
    if !content.is_empty() {
        return match dtype {
            DataType::Int64 => raw(content, n, i64::from_le_bytes),
            DataType::Uint64 => raw(content, n, |b| u64::from_le_bytes(b) as i64),
            DataType::Int32 => raw(content, n, |b| i32::from_le_bytes(b).into()),
            DataType::Uint32 => raw(content, n, |b| u32::from_le_bytes(b).into()),
            DataType::Int16 => raw(content, n, |b| i16::from_le_bytes(b).into()),
            DataType::Uint16 => raw(content, n, |b| u16::from_le_bytes(b).into()),
            DataType::Int8 => raw(content, n, |b| i8::from_le_bytes(b).into()),
            _ => raw(content, n, |b| u8::from_le_bytes(b).into()),
        };
    }
    match dtype {
        DataType::Int64 => listed(t.int64_val.iter().copied(), n, 0),
        DataType::Uint64 => listed(t.uint64_val.iter().map(|&v| v as i64), n, 0),
        DataType::Uint32 => listed(t.uint32_val.iter().map(|&v| v.into()), n, 0),
        DataType::Bool => listed(t.bool_val.iter().map(|&v| v.into()), n, 0),
        _ => listed(t.int_val.iter().map(|&v| v.into()), n, 0),
    }
}

/// Elements as a list; where it is shorter than the tensor, its last element stands for the rest.
fn listed<T: Copy>(values: impl ExactSizeIterator<Item = T>, n: usize, zero: T) -> Result<Vec<T>, String> {
    if values.len() > n {
        return Err(format!("the constant's shape needs {n} elements, but the file holds {}", values.len()));
    }
    if values.len() < n && n > MAX_REPEATED {
        return Err(format!("the constant claims {n} elements, but the file holds {}", values.len()));
    }
    let mut data: Vec<T> = values.collect();
    let last = data.last().copied().unwrap_or(zero);
    data.resize(n, last);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::super::messages::Dim;
    use super::*;

    fn tensor(dtype: DataType, shape: &[i64]) -> TensorProto {
        let dim = shape.iter().map(|&size| Dim { size }).collect();
        TensorProto {
            dtype: dtype as i32,
            tensor_shape: Some(TensorShapeProto { dim, unknown_rank: false }),
            ..TensorProto::default()
        }
    }

    #[test]
    fn every_way_to_hold_floats() {
        let t = |dtype| tensor(dtype, &[2]);
        let table = [
            TensorProto {
                tensor_content: [1.5f32, -2.0].map(f32::to_le_bytes).concat(),
                ..t(DataType::Float)
            },
            TensorProto {
                tensor_content: [1.5f64, -2.0].map(f64::to_le_bytes).concat(),
                ..t(DataType::Double)
            },
            TensorProto { tensor_content: vec![0, 0x3e, 0, 0xc0], ..t(DataType::Half) },
            TensorProto { tensor_content: vec![0xc0, 0x3f, 0, 0xc0], ..t(DataType::Bfloat16) },
            TensorProto { float_val: vec![1.5, -2.0], ..t(DataType::Float) },
            TensorProto { double_val: vec![1.5, -2.0], ..t(DataType::Double) },
            TensorProto { half_val: vec![0x3e00, 0xc000], ..t(DataType::Half) },
            TensorProto { half_val: vec![0x3fc0, 0xc000], ..t(DataType::Bfloat16) },
        ];
        for t in table {
            let Constant::Float(a) = constant(&t).unwrap() else { panic!("{t:?}") };
            assert_eq!(a.data.as_slice(), [1.5, -2.0], "{t:?}");
        }
    }

    #[test]
    fn every_way_to_hold_integers() {
        let t = |dtype| tensor(dtype, &[2]);
        let table = [
            TensorProto { tensor_content: [5i32, 3].map(i32::to_le_bytes).concat(), ..t(DataType::Int32) },
            TensorProto { tensor_content: [5i64, 3].map(i64::to_le_bytes).concat(), ..t(DataType::Int64) },
            TensorProto { tensor_content: [5i16, 3].map(i16::to_le_bytes).concat(), ..t(DataType::Int16) },
            TensorProto { tensor_content: vec![5, 3], ..t(DataType::Uint8) },
            TensorProto { int_val: vec![5, 3], ..t(DataType::Int32) },
            TensorProto { int_val: vec![5, 3], ..t(DataType::Int8) },
            TensorProto { int64_val: vec![5, 3], ..t(DataType::Int64) },
            TensorProto { uint32_val: vec![5, 3], ..t(DataType::Uint32) },
            TensorProto { uint64_val: vec![5, 3], ..t(DataType::Uint64) },
        ];
        for t in table {
            let Constant::Int(a) = constant(&t).unwrap() else { panic!("{t:?}") };
            assert_eq!(a.data, [5, 3], "{t:?}");
        }
    }

    #[test]
    fn the_last_value_repeats() {
        let table: [(Vec<f32>, [f32; 4]); 3] =
            [(vec![], [0.0; 4]), (vec![7.0], [7.0; 4]), (vec![1.0, 2.0], [1.0, 2.0, 2.0, 2.0])];
        for (float_val, want) in table {
            let t = TensorProto { float_val, ..tensor(DataType::Float, &[2, 2]) };
            let Constant::Float(a) = constant(&t).unwrap() else { panic!("{t:?}") };
            assert_eq!(a.data.as_slice(), want);
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
            (TensorProto { tensor_content: vec![0; 7], ..float(&[2]) }, "but the file holds 7 bytes"),
            (TensorProto { tensor_content: vec![0; 4], ..float(&[2]) }, "but the file holds 4 bytes"),
            (TensorProto { float_val: vec![0.0; 3], ..float(&[2]) }, "but the file holds 3"),
            (TensorProto { dtype: 99, ..float(&[2]) }, "element type 99"),
        ];
        for (t, reason) in table {
            let error = constant(&t).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
