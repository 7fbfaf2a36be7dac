//! Constants, and their elements as files of either framework hold them: as bytes, or as a list of
//! numbers.

use crate::value::{Fault, Ints, MAX_ELEMENTS};
use cryptflow_graph::Array;

/// A constant of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Constant {
    Float(Array),
    /// Integers and flags.
    Int(Ints),
    /// Strings, complex numbers and the like, and their type: they may be there, but nothing can
    /// compute on them.
    Opaque(String),
}

impl Constant {
    /// The constant of this shape and of these elements, as many as the shape has.
    pub(crate) fn new(shape: Vec<usize>, elements: Elements) -> Result<Constant, Fault> {
        Ok(match elements {
            Elements::Floats(data) => Constant::Float(Array::new(shape, data)?),
            Elements::Integers(data) => Constant::Int(Ints { shape, data }),
        })
    }
}

/// Lengths of axes as usable numbers, with their product, which is no more than a constant may
/// have.
pub(crate) fn checked_shape(dims: &[i64]) -> Result<(Vec<usize>, usize), Fault> {
    let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let shape = shape.ok_or_else(|| format!("the constant has the shape {dims:?}"))?;
    let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MAX_ELEMENTS);
    let n = n.ok_or_else(|| {
        format!("the constant claims the shape {dims:?}: more than {MAX_ELEMENTS} elements")
    })?;
    Ok((shape, n))
}

/// How one element lies in memory, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// IEEE half precision.
    Half,
    /// The upper half of a float of single precision.
    Bfloat,
    Single,
    Double,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    /// A byte that is zero or not.
    Flag,
}

impl Encoding {
    /// Bytes of an element.
    pub(crate) fn width(self) -> usize {
        match self {
            Encoding::Int8 | Encoding::Uint8 | Encoding::Flag => 1,
            Encoding::Half | Encoding::Bfloat | Encoding::Int16 | Encoding::Uint16 => 2,
            Encoding::Single | Encoding::Int32 | Encoding::Uint32 => 4,
            Encoding::Double | Encoding::Int64 | Encoding::Uint64 => 8,
        }
    }

    /// Elements as they are in memory: exactly `n` of them.
    pub(crate) fn read(self, bytes: &[u8], n: usize) -> Result<Elements, Fault> {
        use Elements::{Floats, Integers};
        Ok(match self {
            Encoding::Single => Floats(raw(bytes, n, f32::from_le_bytes)?),
            Encoding::Double => Floats(raw(bytes, n, |b| f64::from_le_bytes(b) as f32)?),
            Encoding::Half => Floats(raw(bytes, n, |b| half(u16::from_le_bytes(b)))?),
            Encoding::Bfloat => Floats(raw(bytes, n, |b| bfloat(u16::from_le_bytes(b)))?),
            Encoding::Int64 => Integers(raw(bytes, n, i64::from_le_bytes)?),
            Encoding::Uint64 => Integers(raw(bytes, n, |b| u64::from_le_bytes(b) as i64)?),
            Encoding::Int32 => Integers(raw(bytes, n, |b| i32::from_le_bytes(b).into())?),
            Encoding::Uint32 => Integers(raw(bytes, n, |b| u32::from_le_bytes(b).into())?),
            Encoding::Int16 => Integers(raw(bytes, n, |b| i16::from_le_bytes(b).into())?),
            Encoding::Uint16 => Integers(raw(bytes, n, |b| u16::from_le_bytes(b).into())?),
            Encoding::Int8 => Integers(raw(bytes, n, |b| i8::from_le_bytes(b).into())?),
            Encoding::Uint8 => Integers(raw(bytes, n, |b| u8::from_le_bytes(b).into())?),
            Encoding::Flag => Integers(raw(bytes, n, |b| u8::from_le_bytes(b).min(1).into())?),
        })
    }
}

/// Elements as they are computed with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Elements {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
}

impl Elements {
    /// Floats that a file lists.
    pub(crate) fn floats<T: Copy>(listed: &[T], value: impl Fn(T) -> f32) -> Elements {
        Elements::Floats(listed.iter().map(|&v| value(v)).collect())
    }

    /// Integers that a file lists.
    pub(crate) fn integers<T: Copy>(listed: &[T], value: impl Fn(T) -> i64) -> Elements {
        Elements::Integers(listed.iter().map(|&v| value(v)).collect())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Elements::Floats(data) => data.len(),
            Elements::Integers(data) => data.len(),
        }
    }

    /// These elements, where there are as many.
    pub(crate) fn exactly(self, n: usize) -> Result<Elements, Fault> {
        match self.len() {
            held if held == n => Ok(self),
            held => Err(format!("the constant's shape needs {n} elements, but the file holds {held}").into()),
        }
    }

    /// `n` elements, of which the last one that is there stands for those that are not; zero, where
    /// there are none.
    pub(crate) fn repeating_last(self, n: usize) -> Elements {
        fn repeat<T: Copy + Default>(mut data: Vec<T>, n: usize) -> Vec<T> {
            let last = data.last().copied().unwrap_or_default();
            data.resize(n, last);
            data
        }
        match self {
            Elements::Floats(data) => Elements::Floats(repeat(data, n)),
            Elements::Integers(data) => Elements::Integers(repeat(data, n)),
        }
    }

    /// `n` elements that are zero, but for these at their places.
    pub(crate) fn scattered(&self, n: usize, places: &[i64]) -> Result<Elements, Fault> {
        fn scatter<T: Copy + Default>(n: usize, places: &[i64], values: &[T]) -> Result<Vec<T>, Fault> {
            if places.len() != values.len() {
                let (values, places) = (values.len(), places.len());
                return Err(format!("the sparse constant has {values} values, but {places} places").into());
            }
            let mut data = vec![T::default(); n];
            for (&place, &value) in places.iter().zip(values) {
                let at = usize::try_from(place).ok().and_then(|i| data.get_mut(i));
                *at.ok_or("the sparse constant has an element outside of its shape")? = value;
            }
            Ok(data)
        }
        Ok(match self {
            Elements::Floats(values) => Elements::Floats(scatter(n, places, values)?),
            Elements::Integers(values) => Elements::Integers(scatter(n, places, values)?),
        })
    }
}

fn raw<T, const W: usize>(bytes: &[u8], n: usize, read: impl Fn([u8; W]) -> T) -> Result<Vec<T>, Fault> {
    let (elements, rest) = bytes.as_chunks::<W>();
    if elements.len() != n || !rest.is_empty() {
        return Err(format!(
            "the constant's shape needs {n} elements of {W} bytes, but the file holds {} bytes",
            bytes.len()
        )
        .into());
    }
    Ok(elements.iter().map(|&b| read(b)).collect())
}

/// The upper half of a float of single precision.
pub(crate) fn bfloat(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// IEEE half precision.
pub(crate) fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 31;
    let fraction = u32::from(bits) & 0x3ff;
    match (exponent, fraction) {
        (0, _) => {
            let value = fraction as f32 / (1 << 24) as f32;
            if sign == 0 { value } else { -value }
        }
        (31, _) => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision() {
        for (bits, value) in [
            (0x0001, 2f32.powi(-24)),
            (0x8400, -(2f32.powi(-14))),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:04x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
