//! Integers in the smallest width that holds them.

use std::borrow::Cow;

use safetensors::tensor::{Dtype, TensorView, View};

/// A weight on its way into a file.
pub(super) struct Narrow<'a> {
    data: &'a [i64],
    shape: &'a [usize],
    dtype: Dtype,
}

impl<'a> Narrow<'a> {
    pub(super) fn new(data: &'a [i64], shape: &'a [usize]) -> Narrow<'a> {
        let (low, high) = data.iter().fold((0, 0), |(low, high), &v| (v.min(low), v.max(high)));
        let fits = |min: i64, max: i64| low >= min && high <= max;
        let dtype = if fits(i8::MIN.into(), i8::MAX.into()) {
            Dtype::I8
        } else if fits(i16::MIN.into(), i16::MAX.into()) {
            Dtype::I16
        } else if fits(i32::MIN.into(), i32::MAX.into()) {
            Dtype::I32
        } else {
            Dtype::I64
        };
        Narrow { data, shape, dtype }
    }

    fn width(&self) -> usize {
        match self.dtype {
            Dtype::I8 => 1,
            Dtype::I16 => 2,
            Dtype::I32 => 4,
            _ => 8,
        }
    }
}

impl View for Narrow<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let width = self.width();
        let mut bytes = Vec::with_capacity(self.data.len() * width);
        for v in self.data {
            // Two's complement: the low bytes are the number in the smaller width.
            bytes.extend(v.to_le_bytes().into_iter().take(width));
        }
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.data.len() * self.width()
    }
}

/// A weight from a file.
pub(super) fn read(view: &TensorView<'_>) -> Result<Vec<i64>, String> {
    fn all<const N: usize>(bytes: &[u8], one: impl Fn([u8; N]) -> i64) -> Vec<i64> {
        bytes.as_chunks::<N>().0.iter().map(|&chunk| one(chunk)).collect()
    }
    let bytes = view.data();
    match view.dtype() {
        Dtype::I8 => Ok(all(bytes, |b| i8::from_le_bytes(b).into())),
        Dtype::I16 => Ok(all(bytes, |b| i16::from_le_bytes(b).into())),
        Dtype::I32 => Ok(all(bytes, |b| i32::from_le_bytes(b).into())),
        Dtype::I64 => Ok(all(bytes, i64::from_le_bytes)),
        other => Err(format!("holds {other}, not integers")),
    }
}
