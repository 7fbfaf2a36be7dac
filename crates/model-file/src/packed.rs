//! Texts that are compressed (zlib, RFC 1950), as tensors of bytes.

use std::borrow::Cow;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::error::FileError;

/// Bytes of a text, at most: a file that claims more is refused when so many have come.
pub(crate) const MOST: u64 = 1 << 29;

/// A tensor of bytes.
pub(crate) struct Bytes {
    pub(crate) data: Vec<u8>,
    pub(crate) shape: [usize; 1],
}

pub(crate) fn pack(text: &str) -> Result<Bytes, FileError> {
    if text.len() as u64 > MOST {
        return Err(FileError::form(format_args!(
            "its program or report has {} bytes, and {MOST} are the most",
            text.len()
        )));
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).map_err(FileError::form)?;
    let data = encoder.finish().map_err(FileError::form)?;
    let shape = [data.len()];
    Ok(Bytes { data, shape })
}

/// The text of this name; none where there is no such tensor.
pub(crate) fn unpack(
    part: &'static str,
    tensors: &SafeTensors<'_>,
) -> Result<Option<Cow<'static, str>>, FileError> {
    let Ok(view) = tensors.tensor(part) else { return Ok(None) };
    let wrong = |reason: String| FileError::Packed { part, reason };
    if view.dtype() != Dtype::U8 {
        return Err(wrong(format!("it holds {:?}, not bytes", view.dtype())));
    }
    let mut text = String::new();
    // One byte more than may be there shows that there are too many.
    let mut limited = ZlibDecoder::new(view.data()).take(MOST + 1);
    limited.read_to_string(&mut text).map_err(|e| wrong(e.to_string()))?;
    if text.len() as u64 > MOST {
        return Err(wrong(format!("it has more than {MOST} bytes")));
    }
    Ok(Some(text.into()))
}
