//! Reading what a client runs a model on: arrays (`.npy`, `.npz`), pictures (`.png`, `.jpg`), and folders of them.
//!
//! Arrays of floats are taken as they are. Arrays of bytes and pictures go through the preprocessing that was fixed
//! when the model was compiled. A value outside of the range that the compiler allowed for is an error: in fixed
//! point it could wrap around and give a wrong answer that looks right.

mod array;
mod picture;

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use cryptflow_program::Preprocessing;

use crate::npy::{self, NpyError};
use crate::preprocess::PreprocessError;

/// What a row must be.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// Name of the model's input; picks the array in an `.npz` of several.
    pub name: String,
    /// Shape of one row, without the batch axis.
    pub shape: Vec<usize>,
    /// Smallest number that was allowed for when the model was compiled.
    pub low: f64,
    /// Largest number that was allowed for.
    pub high: f64,
    /// How pictures and bytes become numbers.
    pub preprocessing: Preprocessing,
}

/// One row: what the model is run on once.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where it comes from: the file's name, and the row's index where the file holds several.
    pub name: String,
    /// As many elements as the shape of a row.
    pub data: Vec<f32>,
}

/// Why an input cannot be read. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// No path was given.
    #[error("no input was given: name a .npy, .npz, .png or .jpg file, or a folder of them")]
    Nothing,
    /// The operating system refuses.
    #[error("cannot read {}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// A folder without anything to read.
    #[error("the folder {} holds no .npy, .npz, .png or .jpg file", folder.display())]
    EmptyFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of another kind.
    #[error("{} is no .npy, .npz, .png or .jpg file (judged by its first bytes)", file.display())]
    Format {
        /// The file.
        file: PathBuf,
    },
    /// An array cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Npy {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: NpyError,
    },
    /// A picture cannot be decoded.
    #[error("cannot decode the picture {}: {reason}", file.display())]
    Picture {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A picture does not go with the model.
    #[error("{} does not fit: {source}", file.display())]
    Preprocess {
        /// The file.
        file: PathBuf,
        /// What does not fit.
        source: PreprocessError,
    },
    /// An array of a shape that does not go with the model.
    #[error(
        "{} holds an array of shape {found:?}; the input {input:?} needs [N{}], N rows, or one row without N{hint}",
        file.display(),
        needed.iter().map(|d| format!(", {d}")).collect::<String>()
    )]
    Shape {
        /// The file.
        file: PathBuf,
        /// Shape of the array.
        found: Vec<usize>,
        /// Name of the input.
        input: String,
        /// Shape of a row.
        needed: Vec<usize>,
        /// What may be the matter.
        hint: String,
    },
    /// An array without elements.
    #[error("{} holds no rows: its shape is {found:?}", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
        /// Shape of the array.
        found: Vec<usize>,
    },
    /// NaN or infinity.
    #[error("{name}: element {element} is {value}, and only finite numbers can be shared")]
    NotFinite {
        /// The row.
        name: String,
        /// Index in the row.
        element: usize,
        /// The value.
        value: f32,
    },
    /// A value that the compiled model does not allow for.
    #[error(
        "{name}: element {element} is {value}, outside of the range {low} to {high} that the model was compiled for; \
         {advice}"
    )]
    Range {
        /// The row.
        name: String,
        /// Index in the row of the value that is farthest outside.
        element: usize,
        /// That value.
        value: f32,
        /// Smallest allowed.
        low: f64,
        /// Largest allowed.
        high: f64,
        /// What to do.
        advice: String,
    },
}

/// Reads all rows of several files and folders, in the order in which they are given; the files of a folder by name.
/// Files of a folder that are no inputs by their extension are passed over.
///
/// # Errors
/// The first thing that is wrong, with the file and the row.
pub fn read(paths: &[PathBuf], spec: &InputSpec) -> Result<Vec<Row>, InputError> {
    let mut rows = Vec::new();
    for path in paths {
        if path.is_dir() {
            for file in files_of(path)? {
                read_file(&file, spec, &mut rows)?;
            }
        } else {
            read_file(path, spec, &mut rows)?;
        }
    }
    if rows.is_empty() {
        return Err(InputError::Nothing);
    }
    Ok(rows)
}

/// The files of a folder that look like inputs, sorted by name.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, InputError> {
    let failed = |source| InputError::Io { file: folder.to_path_buf(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        if matches!(extension.as_deref(), Some("npy" | "npz" | "png" | "jpg" | "jpeg")) {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(InputError::EmptyFolder { folder: folder.to_path_buf() });
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path, spec: &InputSpec, rows: &mut Vec<Row>) -> Result<(), InputError> {
    let io = |source| InputError::Io { file: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut start = Vec::new();
    file.by_ref().take(8).read_to_end(&mut start).map_err(io)?;
    file.rewind().map_err(io)?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let npy = |source| InputError::Npy { file: path.to_path_buf(), source };
    match start.as_slice() {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => {
            let array = npy::read_npy(&mut reader, length, true).map_err(npy)?;
            array::rows(array, path, &name, spec, rows)
        }
        [b'P', b'K', ..] => {
            let (member, array) = npy::read_npz(&mut reader, &spec.name).map_err(npy)?;
            array::rows(array, path, &format!("{name}:{member}"), spec, rows)
        }
        [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] => {
            let picture = picture::decode(reader, length)
                .map_err(|reason| InputError::Picture { file: path.to_path_buf(), reason })?;
            let data = crate::preprocess::apply(picture, &spec.preprocessing, &spec.shape)
                .map_err(|source| InputError::Preprocess { file: path.to_path_buf(), source })?;
            push(rows, name.into_owned(), data, spec)
        }
        _ => Err(InputError::Format { file: path.to_path_buf() }),
    }
}

/// Checks a row's values and adds it.
fn push(rows: &mut Vec<Row>, name: String, data: Vec<f32>, spec: &InputSpec) -> Result<(), InputError> {
    // Bounds are computed in double precision, inputs in single.
    let slack = 1e-6 * spec.low.abs().max(spec.high.abs());
    let mut worst: Option<(f64, usize, f32)> = None;
    for (element, &value) in data.iter().enumerate() {
        if !value.is_finite() {
            return Err(InputError::NotFinite { name, element, value });
        }
        let outside = (spec.low - f64::from(value)).max(f64::from(value) - spec.high);
        if outside > slack && worst.is_none_or(|(w, ..)| outside > w) {
            worst = Some((outside, element, value));
        }
    }
    match worst {
        None => {
            rows.push(Row { name, data });
            Ok(())
        }
        Some((_, element, value)) => {
            let (low, high) = (spec.low, spec.high);
            Err(InputError::Range { name, element, value, low, high, advice: advice(value, &data, spec) })
        }
    }
}

fn advice(value: f32, data: &[f32], spec: &InputSpec) -> String {
    let pixels = data.iter().all(|v| (0.0..=255.0).contains(v) && v.fract() == 0.0);
    if pixels && spec.high <= 4.0 && spec.preprocessing.divide.is_none() {
        return "are these pixels from 0 to 255? Compile with --divide 255 (and --mean, --std where the model was \
                trained so), or give what the model was trained on"
            .into();
    }
    format!(
        "prepare it as the calibration data was, or compile again with calibration data that reach {value}"
    )
}

#[cfg(test)]
mod tests;
