//! Decoding PNG and JPEG.

use std::io::{BufRead, Seek};

use image::{ColorType, DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::preprocess::{LARGEST, Picture};

/// A compressed byte never stands for more pixel bytes than this (a flat JPEG or PNG comes near a thousand).
const BYTES_PER_BYTE: u64 = 4_096;

/// Decodes a picture from a file of `length` bytes: one channel where it is grey, else red, green, blue. Sixteen bits
/// become eight, and transparency is dropped. What a camera notes of its orientation is not applied.
pub(super) fn decode(reader: impl BufRead + Seek, length: u64) -> Result<Picture, String> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST as u32);
    limits.max_image_height = Some(LARGEST as u32);
    let mut reader = ImageReader::new(reader).with_guessed_format().map_err(|e| e.to_string())?;
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(format!("it has {height}×{width} pixels"));
    }
    if decoder.total_bytes() > length.saturating_mul(BYTES_PER_BYTE) {
        return Err(format!("it claims {height}×{width} pixels, and has {length} bytes only"));
    }
    let decoded = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
    let (channels, pixels) = match decoded.color() {
        ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16 => {
            (1, decoded.into_luma8().into_raw())
        }
        _ => (3, decoded.into_rgb8().into_raw()),
    };
    Picture::new(height as usize, width as usize, channels, pixels).map_err(|e| e.to_string())
}
