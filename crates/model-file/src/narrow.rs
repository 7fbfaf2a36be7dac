//! Integers in the smallest width that holds them.

use std::borrow::Cow;

use cryptflow_ring::{pack_signed, packed_len, signed_width, unpack_signed};
use safetensors::tensor::{Dtype, TensorView, View};

/// The types that a file holds integers in, and their bits.
const WIDTHS: [(Dtype, u32); 4] = [(Dtype::I8, 8), (Dtype::I16, 16), (Dtype::I32, 32), (Dtype::I64, 64)];

/// A weight on its way into a file.
pub(crate) struct Narrow<'a> {
    data: &'a [i64],
    shape: &'a [usize],
    dtype: Dtype,
    bits: u32,
}

impl<'a> Narrow<'a> {
    pub(crate) fn new(data: &'a [i64], shape: &'a [usize]) -> Narrow<'a> {
        let needed = signed_width(data);
        let [.., widest] = WIDTHS;
        let (dtype, bits) = WIDTHS.into_iter().find(|&(_, bits)| bits >= needed).unwrap_or(widest);
        Narrow { data, shape, dtype, bits }
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
        let mut bytes = Vec::new();
        pack_signed(self.data, self.bits, &mut bytes);
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        packed_len(self.data.len(), self.bits)
    }
}

/// A weight from a file, or the type of its elements, where these are not integers.
pub(crate) fn read(view: &TensorView<'_>) -> Result<Vec<i64>, Dtype> {
    let (bytes, dtype) = (view.data(), view.dtype());
    let width = WIDTHS.into_iter().find(|&(of, _)| of == dtype);
    let (_, bits) = width.ok_or(dtype)?;
    let mut values = vec![0; bytes.len() / (bits as usize / 8)];
    unpack_signed(bytes, bits, &mut values);
    Ok(values)
}
