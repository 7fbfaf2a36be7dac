//! Files that are often given as inputs and are none, known by their first bytes.

use std::fmt;

use cryptflow_import::{Lookalike, is_text};

/// What a file that is neither an array nor a picture looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A picture in a form that is not read here, with the form's name.
    Picture(&'static str),
    /// A picture of medicine, with the form's name.
    Scan(&'static str),
    /// Text, perhaps a table.
    Text,
    /// A table or arrays in a form that is not read here, with the form's name.
    Table(&'static str),
    /// A file that is often given for a model.
    Model(Lookalike),
    /// What can be compiled, by what it is.
    Source(&'static str),
    /// Nothing at all.
    Empty,
}

/// Bytes that are looked at.
pub(super) const LOOKED_AT: usize = 512;

impl Foreign {
    /// Looks at the first bytes of a file; nothing where they tell nothing.
    pub fn of(bytes: &[u8]) -> Option<Foreign> {
        const MAGIC: [(&[u8], Foreign); 14] = [
            (b"GIF8", Foreign::Picture("GIF")),
            (b"II*\0", Foreign::Picture("TIFF")),
            (b"MM\0*", Foreign::Picture("TIFF")),
            (b"\0\0\x01\0", Foreign::Picture("ICO")),
            (b"\0\0\0\x0cjP  ", Foreign::Picture("JPEG 2000")),
            (b"\xff\x0a", Foreign::Picture("JPEG XL")),
            (b"\x5c\x01\0\0", Foreign::Scan("NIfTI")),
            (b"\x89HDF\r\n\x1a\n", Foreign::Table("HDF5")),
            (b"PAR1", Foreign::Table("Parquet")),
            (b"ARROW1", Foreign::Table("Arrow")),
            (b"MATLAB 5.0", Foreign::Table("MATLAB")),
            (b"\x80\x04", Foreign::Table("pickle")),
            (b"\x80\x05", Foreign::Table("pickle")),
            (b"\x80\x02", Foreign::Table("pickle")),
        ];
        if let Some((_, found)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return Some(*found);
        }
        if bytes.get(128..132) == Some(b"DICM") {
            return Some(Foreign::Scan("DICOM"));
        }
        match bytes {
            [] => Some(Foreign::Empty),
            [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(Foreign::Picture("BMP")),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
                Some(Foreign::Picture("WebP"))
            }
            [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => Some(Foreign::Picture("AVIF")),
            [_, _, _, _, b'f', b't', b'y', b'p', b'h', ..] => Some(Foreign::Picture("HEIC")),
            _ => match Lookalike::of(bytes) {
                Some(Lookalike::Text) => Some(Foreign::Text),
                Some(model) => Some(Foreign::Model(model)),
                None => is_text(bytes).then_some(Foreign::Text),
            },
        }
    }

    /// What to do about it.
    fn advice(&self) -> &'static str {
        match self {
            Foreign::Picture(_) => {
                "Save it as PNG: from PIL import Image; Image.open(\"picture\").convert(\"RGB\").save(\"picture.png\")"
            }
            Foreign::Scan(_) => {
                "Read it with what the model was trained with (pydicom, nibabel), and save the array that went into the \
                 training: numpy.save(\"x.npy\", x.astype(\"float32\"))"
            }
            Foreign::Text => {
                "If it is a table of numbers, prepared as in training, give it the extension .csv"
            }
            Foreign::Table(_) => {
                "Read it with Python, and save what the model takes: numpy.save(\"x.npy\", x.astype(\"float32\"))"
            }
            Foreign::Model(Lookalike::Compressed) => "Decompress it first (xz -d, gunzip)",
            Foreign::Model(Lookalike::LfsPointer) => "Run `git lfs pull`",
            Foreign::Model(_) | Foreign::Source(_) => {
                "Give the data here that the model is to be run on, or calibrated with; the model itself stands before the \
                 options"
            }
            Foreign::Empty => "Copy it again",
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = self.advice();
        match self {
            Foreign::Picture(form) => write!(f, "{} {form} picture. {advice}", article(form)),
            Foreign::Scan(form) | Foreign::Table(form) => {
                write!(f, "{} {form} file. {advice}", article(form))
            }
            Foreign::Text => write!(f, "text. {advice}"),
            Foreign::Model(found) => write!(f, "{found}. {advice}"),
            Foreign::Source(what) => write!(f, "{what}. {advice}"),
            Foreign::Empty => write!(f, "empty. {advice}"),
        }
    }
}

/// The article before the name of a form.
fn article(form: &str) -> &'static str {
    if form.starts_with(['A', 'I']) || form.starts_with("HDF") { "an" } else { "a" }
}
