//! Decoding PNG and JPEG, with the decoders that the crate `image` stands on: `image` itself would
//! bring colour management, which is not applied, and a tenth of the time to compile the command.
//!
//! `zune-jpeg` differs from libjpeg-turbo, which Pillow uses, by up to 5 levels (measured on 200
//! pictures; `jpeg-decoder`: 4). What agrees is written in C and wants cmake (`turbojpeg`), or
//! promises no memory safety (`libjpeg-turbo-rs` 0.9). The user guide says what to do.

use std::io::{Cursor, Read};

use png::{ColorType, Transformations};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::preprocess::{LARGEST, Picture};

/// A compressed byte never stands for more pixel bytes than this (a flat JPEG or PNG comes near a
/// thousand).
const BYTES_PER_BYTE: u64 = 4_096;

/// Why a file is no picture that can be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The operating system says no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It begins as no kind of picture that is known here.
    #[error("it is neither a PNG nor a JPEG")]
    Unknown,
    /// More rows or columns than a picture may have, or none.
    #[error("it has {height}×{width} pixels")]
    Extents {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// More pixels than its bytes can stand for.
    #[error("it claims {height}×{width} pixels, and has {length} bytes only")]
    Claim {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// The file's bytes.
        length: u64,
    },
    /// A PNG or JPEG that its decoder does not take, with the decoder's reason.
    #[error("{0}")]
    Damaged(String),
}

fn damaged(reason: impl ToString) -> DecodeError {
    DecodeError::Damaged(reason.to_string())
}

/// Decodes a picture from a file of `length` bytes: one channel where it is grey, else red, green,
/// blue. Sixteen bits become eight, and transparency is dropped. What a camera notes of its
/// orientation is not applied.
///
/// # Errors
/// What is wrong with the file.
pub fn decode(mut reader: impl Read, length: u64) -> Result<Picture, DecodeError> {
    let mut file = Vec::new();
    reader.read_to_end(&mut file)?;
    match file.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => png(&file, length),
        [0xff, 0xd8, ..] => jpeg(&file, length),
        _ => Err(DecodeError::Unknown),
    }
}

/// Whether a picture of this size may be decoded from so many bytes.
fn check(width: usize, height: usize, bytes: usize, length: u64) -> Result<(), DecodeError> {
    if width == 0 || height == 0 || width.max(height) > LARGEST {
        return Err(DecodeError::Extents { height, width });
    }
    if bytes as u64 > length.saturating_mul(BYTES_PER_BYTE) {
        return Err(DecodeError::Claim { height, width, length });
    }
    Ok(())
}

fn png(file: &[u8], length: u64) -> Result<Picture, DecodeError> {
    let mut decoder = png::Decoder::new(Cursor::new(file));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let bytes = reader.output_buffer_size().ok_or(DecodeError::Extents { height, width })?;
    check(width, height, bytes, length)?;
    let mut pixels = vec![0; bytes];
    reader.next_frame(&mut pixels).map_err(damaged)?;
    let (channels, opaque) = match reader.output_color_type().0 {
        ColorType::Grayscale => (1, pixels),
        ColorType::GrayscaleAlpha => {
            (1, pixels.chunks_exact(2).flat_map(|p| p.iter().take(1)).copied().collect())
        }
        ColorType::Rgb | ColorType::Indexed => (3, pixels),
        ColorType::Rgba => (3, pixels.chunks_exact(4).flat_map(|p| p.iter().take(3)).copied().collect()),
    };
    Picture::new(height, width, channels, opaque).map_err(damaged)
}

fn jpeg(file: &[u8], length: u64) -> Result<Picture, DecodeError> {
    let options =
        DecoderOptions::default().set_strict_mode(false).set_max_width(LARGEST).set_max_height(LARGEST);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(damaged)?;
    let (Some((width, height)), Some(colours)) = (decoder.dimensions(), decoder.input_colorspace()) else {
        return Err(damaged("it has no header"));
    };
    let (channels, wanted) = match colours {
        ColorSpace::Luma => (1, ColorSpace::Luma),
        _ => (3, ColorSpace::RGB),
    };
    check(width, height, width * height * channels, length)?;
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let pixels = decoder.decode().map_err(damaged)?;
    Picture::new(height, width, channels, pixels).map_err(damaged)
}
