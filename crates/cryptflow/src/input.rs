//! Reading what a client runs a model on: arrays (`.npy`, `.npz`), tables of numbers (`.csv`),
//! pictures (`.png`, `.jpg`), and folders of them.
//!
//! Arrays of floats are taken as they are. Arrays of bytes and pictures go through the
//! preprocessing that was fixed when the model was compiled. A value outside of the range that the
//! compiler allowed for is an error: in fixed point it could wrap around and give a wrong answer
//! that looks right.

mod array;
mod columns;
mod file;
mod foreign;
mod given;

use std::path::PathBuf;

use cryptflow_program::Preprocessing;

pub use columns::{Sent, columns, file_of, sent};
pub use foreign::Foreign;
pub use given::{Given, arrays};

use cryptflow_arrays::csv::CsvError;
use cryptflow_arrays::npy::{NpyError, list};
use cryptflow_pictures::{DecodeError, PreprocessError};

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
    /// What each column of the last axis is multiplied with before it is held against these ends;
    /// none where all are one.
    pub factors: Vec<f64>,
    /// How many ids there are, where the numbers are ids: 0 and up, whole.
    pub classes: Option<usize>,
    /// How pictures and bytes become numbers.
    pub preprocessing: Preprocessing,
}

impl InputSpec {
    fn factor(&self, element: usize) -> f64 {
        self.factors.get(element % self.factors.len().max(1)).copied().unwrap_or(1.0)
    }
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
    #[error("no input was given: name a .npy, .npz, .csv, .png or .jpg file, or a folder of them")]
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
    #[error("the folder {} holds no .npy, .npz, .csv, .png or .jpg file{}", folder.display(), holds(*model, other))]
    EmptyFolder {
        /// The folder.
        folder: PathBuf,
        /// It is that of a SavedModel.
        model: bool,
        /// What the first of its other files is.
        other: Option<Box<InputError>>,
    },
    /// A file of another kind.
    #[error(
        "{} is no .npy, .npz, .csv, .png or .jpg file, judged by its first bytes{}",
        file.display(),
        found.map_or(String::new(), |found| format!(": it is {found}"))
    )]
    Format {
        /// The file.
        file: PathBuf,
        /// What it looks like.
        found: Option<Foreign>,
    },
    /// An array cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Npy {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: NpyError,
    },
    /// A table cannot be read.
    #[error("cannot read the table {}: {source}", file.display())]
    Table {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: CsvError,
    },
    /// A table with another number of columns than the input has numbers a row.
    #[error(
        "{} has {found} columns, and the input {input:?} needs {needed}{}",
        file.display(),
        if found > needed { ": leave away those that are no input (an index, the answer)" } else { "" }
    )]
    Columns {
        /// The file.
        file: PathBuf,
        /// Name of the input.
        input: String,
        /// Columns of the table.
        found: usize,
        /// Numbers of a row.
        needed: usize,
    },
    /// A picture cannot be decoded.
    #[error("cannot decode the picture {}: {source}", file.display())]
    Picture {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: DecodeError,
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
    /// A number that is no id.
    #[error(
        "{name}: element {element} is {value}, and the input {input:?} takes ids: whole numbers from 0 to {last}, as the \
         model's own tokenizer or list of categories gives them"
    )]
    Id {
        /// The row.
        name: String,
        /// Index in the row.
        element: usize,
        /// The value.
        value: f32,
        /// Name of the input.
        input: String,
        /// The last id.
        last: usize,
    },
    /// `NAME=FILE` with a name that the model does not know.
    #[error("{given}: there is no such file, and the model has no input {name:?}; {}", inputs_are(inputs))]
    UnknownInput {
        /// As it was given.
        given: String,
        /// What stands before the `=`.
        name: String,
        /// Names of the model's inputs.
        inputs: Vec<String>,
    },
    /// An input that no file was given for.
    #[error(
        "nothing was given for the input {input:?}; {}: give {input}=FILE, or .npz files with an array for each input by its name",
        inputs_are(inputs)
    )]
    MissingInput {
        /// The input.
        input: String,
        /// Names of the model's inputs.
        inputs: Vec<String>,
    },
    /// An array for an input that the model does not have.
    #[error("the model has no input {name:?}; {}", inputs_are(inputs))]
    UnknownName {
        /// The name that was given.
        name: String,
        /// Names of the model's inputs.
        inputs: Vec<String>,
    },
    /// An input that no array was given for.
    #[error("no array was given for the input {input:?}; {}", inputs_are(inputs))]
    MissingArray {
        /// The input.
        input: String,
        /// Names of the model's inputs.
        inputs: Vec<String>,
    },
    /// More arrays than inputs.
    #[error(
        "{given} arrays were given, one after another, but the model has fewer inputs: {}",
        inputs_are(inputs)
    )]
    TooMany {
        /// How many there are at least.
        given: usize,
        /// Names of the model's inputs.
        inputs: Vec<String>,
    },
    /// A file for all inputs, all of which have files of their own.
    #[error(
        "{} is for no input: every input of the model has a file of its own. Leave it away, or say which input it is for, \
         as in NAME={}; {}",
        path.display(),
        path.display(),
        inputs_are(inputs)
    )]
    Superfluous {
        /// The file or folder.
        path: PathBuf,
        /// Names of the model's inputs.
        inputs: Vec<String>,
    },
    /// One array or picture, where several inputs need one each.
    #[error(
        "{} is for one input, but {}: give NAME=FILE for each, or a .npz file with an array for each by its name",
        file.display(),
        several(inputs)
    )]
    NotASet {
        /// The file.
        file: PathBuf,
        /// Names of the inputs that are to be read from it.
        inputs: Vec<String>,
    },
    /// An archive without the array of an input.
    #[error(
        "{} holds {}, but none for the input {input:?}: save one under that name, or give {input}=FILE",
        file.display(),
        list(found)
    )]
    Lacks {
        /// The archive.
        file: PathBuf,
        /// The input.
        input: String,
        /// Names of its arrays.
        found: Vec<String>,
    },
    /// Inputs that do not have the same number of rows.
    #[error(
        "{place} different numbers of rows for the model's inputs: {}. Row by row they belong together, so each needs as many",
        counts.iter().map(|(input, rows)| format!("{input} {rows}")).collect::<Vec<_>>().join(", ")
    )]
    Rows {
        /// Who holds them.
        place: String,
        /// Inputs and their rows.
        counts: Vec<(String, usize)>,
    },
}

/// What a folder without inputs holds.
fn holds(model: bool, other: &Option<Box<InputError>>) -> String {
    match other {
        _ if model => {
            ": it is that of a SavedModel. Give the data here that it is to be run on, or calibrated with"
                .into()
        }
        Some(error) => format!(". {error}"),
        None => String::new(),
    }
}

/// A sentence with the names of a model's inputs.
fn inputs_are(names: &[String]) -> String {
    match names {
        [one] => format!("its only input is {one:?}"),
        names => format!("its inputs are {}", names.join(", ")),
    }
}

/// A half sentence with the names of several inputs.
fn several(names: &[String]) -> String {
    format!("the model takes {} inputs from it ({})", names.len(), names.join(", "))
}

/// Reads all rows of one input from several files and folders, in the order in which they are
/// given; the files of a folder by name. Files of a folder that are no inputs by their extension
/// are passed over.
///
/// # Errors
/// The first thing that is wrong, with the file and the row.
pub fn read(paths: &[PathBuf], spec: &InputSpec) -> Result<Vec<Row>, InputError> {
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        files.extend(file::all(path)?);
    }
    columns::read_all(&files, spec)
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
        if let Some(classes) = spec.classes
            && !(value.fract() == 0.0 && value >= 0.0 && (value as usize) < classes)
        {
            let last = classes.saturating_sub(1);
            return Err(InputError::Id { name, element, value, input: spec.name.clone(), last });
        }
        let scaled = f64::from(value) * spec.factor(element);
        let outside = (spec.low - scaled).max(scaled - spec.high);
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
            let factor = spec.factor(element);
            let (low, high) = (spec.low / factor, spec.high / factor);
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
