//! Constants, as TensorFlow's tensor messages hold them.

use cryptflow_arrays::{Elements, Encoding, bfloat, half};

use super::messages::{DataType, TensorProto, TensorShapeProto};
use crate::budget::MAX_GROWN;
use crate::tensor::{self, Constant, checked_shape, floats, integers};
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
    let Some(encoding) = dtype.encoding() else { return Ok(Constant::Opaque(format!("{dtype:?}"))) };
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
fn listed(t: &TensorProto, encoding: Encoding) -> Elements {
    match encoding {
        Encoding::Single => Elements::Floats(t.float_val.clone()),
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
fn fill_up(listed: Elements, n: usize) -> Result<Elements, Fault> {
    match listed.len() {
        held if held > n => tensor::exactly(listed, n),
        held if held < n && n > MAX_GROWN => {
            Err(format!("the constant claims {n} elements, but the file holds {held}").into())
        }
        _ => Ok(tensor::repeating_last(listed, n)),
    }
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
            let Constant::Float(a) = read_constant(&t).unwrap() else { panic!("{t:?}") };
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
            let Constant::Int(a) = read_constant(&t).unwrap() else { panic!("{t:?}") };
            assert_eq!(a.data, [5, 3], "{t:?}");
        }
    }

    #[test]
    fn the_last_value_repeats() {
        let table: [(Vec<f32>, [f32; 4]); 3] =
            [(vec![], [0.0; 4]), (vec![7.0], [7.0; 4]), (vec![1.0, 2.0], [1.0, 2.0, 2.0, 2.0])];
        for (float_val, want) in table {
            let t = TensorProto { float_val, ..tensor(DataType::Float, &[2, 2]) };
            let Constant::Float(a) = read_constant(&t).unwrap() else { panic!("{t:?}") };
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
            let error = read_constant(&t).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
