//! Several inputs at once: a column of rows for each, from files for all of them and from files for
//! one.

use std::path::{Path, PathBuf};

use super::file::{self, Source};
use super::{InputError, InputSpec, Row};

/// Reads the rows of all inputs of a model: for each input a column, all of the same length.
///
/// What is given is a file or a folder; or `NAME=FILE`, for the input of that name only. A path
/// that exists is a path, whatever is in it. Files without a name are for the inputs that have none
/// of their own: if these are several, each file is a `.npz` with an array for each by its name.
///
/// # Errors
/// The first thing that is wrong, with the file and the row or with the names of the model's
/// inputs.
pub fn columns(given: &[PathBuf], specs: &[InputSpec]) -> Result<Vec<Vec<Row>>, InputError> {
    let mut files = Files::of(specs);
    for path in given {
        match named(path) {
            None => files.shared.extend(file::all(path)?),
            Some((name, file)) => match of_input(name, specs).and_then(|index| files.own.get_mut(index)) {
                Some(files) => files.extend(file::all(Path::new(file))?),
                None => {
                    let given = path.display().to_string();
                    return Err(InputError::UnknownInput { given, name: name.into(), inputs: names(specs) });
                }
            },
        }
    }
    files.read(specs)
}

/// A file that somebody sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The input that it is for; all of them that have no file of their own, where none is said.
    pub input: Option<&'a str>,
    /// What it is called there.
    pub name: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// Reads the rows of all inputs of a model, as [`columns`] does, from files that were sent.
///
/// # Errors
/// As those of [`columns`].
pub fn sent(given: &[Sent<'_>], specs: &[InputSpec]) -> Result<Vec<Vec<Row>>, InputError> {
    let mut files = Files::of(specs);
    for &Sent { input, name, bytes } in given {
        let of = match input {
            None => &mut files.shared,
            Some(input) => match of_input(input, specs).and_then(|index| files.own.get_mut(index)) {
                Some(files) => files,
                None => return Err(InputError::UnknownName { name: input.into(), inputs: names(specs) }),
            },
        };
        of.push(Source::Sent(name, bytes));
    }
    files.read(specs)
}

/// The files of each input, and those of all that have none.
struct Files<'a> {
    own: Vec<Vec<Source<'a>>>,
    shared: Vec<Source<'a>>,
}

fn names(specs: &[InputSpec]) -> Vec<String> {
    specs.iter().map(|spec| spec.name.clone()).collect()
}

impl Files<'_> {
    fn of(specs: &[InputSpec]) -> Self {
        Files { own: vec![Vec::new(); specs.len()], shared: Vec::new() }
    }

    fn read(self, specs: &[InputSpec]) -> Result<Vec<Vec<Row>>, InputError> {
        let Files { own, shared } = self;
        let mut columns: Vec<Vec<Row>> = Vec::with_capacity(specs.len());
        for (files, spec) in own.iter().zip(specs) {
            columns.push(if files.is_empty() { Vec::new() } else { read_all(files, spec)? });
        }
        let mut rest: Vec<(&InputSpec, &mut Vec<Row>)> = specs
            .iter()
            .zip(&mut columns)
            .zip(&own)
            .filter_map(|(column, files)| files.is_empty().then_some(column))
            .collect();
        match (rest.as_mut_slice(), shared.first()) {
            ([], None) => {}
            ([], Some(file)) => {
                return Err(InputError::Superfluous { path: file.path().into(), inputs: names(specs) });
            }
            ([(spec, _), ..], None) if specs.len() > 1 => {
                return Err(InputError::MissingInput { input: spec.name.clone(), inputs: names(specs) });
            }
            ([(spec, rows)], _) => **rows = read_all(&shared, spec)?,
            (several, _) => {
                for file in &shared {
                    file::read_set(file, several)?;
                }
            }
        }
        let counts: Vec<(&str, usize)> =
            specs.iter().zip(&columns).map(|(spec, rows)| (spec.name.as_str(), rows.len())).collect();
        same_rows(&counts, || "there are".into())?;
        Ok(columns)
    }
}

/// Reads all rows of one input, in the order of the files.
pub(super) fn read_all(files: &[Source<'_>], spec: &InputSpec) -> Result<Vec<Row>, InputError> {
    let mut rows = Vec::new();
    for file in files {
        file::read(file, spec, &mut rows)?;
    }
    if rows.is_empty() { Err(InputError::Nothing) } else { Ok(rows) }
}

/// The file of what is given: a path, or the right side of `NAME=FILE`.
pub fn file_of(given: &Path) -> &Path {
    named(given).map_or(given, |(_, file)| Path::new(file))
}

/// The two sides of `NAME=FILE`; `None` where that is the path of something.
fn named(path: &Path) -> Option<(&str, &str)> {
    let text = path.to_str().filter(|_| !path.exists())?;
    text.split_once('=')
}

/// The input of this name; TensorFlow's `:0` after it may be left away or added.
pub(super) fn of_input(name: &str, specs: &[InputSpec]) -> Option<usize> {
    let plain = |name: &str| name.strip_suffix(":0").unwrap_or(name).to_owned();
    let exact = specs.iter().position(|spec| spec.name == name);
    exact.or_else(|| specs.iter().position(|spec| plain(&spec.name) == plain(name)))
}

/// The number of rows, which must be the same for all inputs; `place` begins the sentence that says
/// that it is not.
pub(super) fn same_rows(counts: &[(&str, usize)], place: impl Fn() -> String) -> Result<usize, InputError> {
    let rows = counts.first().map_or(0, |&(_, rows)| rows);
    if counts.iter().all(|&(_, n)| n == rows) {
        return Ok(rows);
    }
    let counts = counts.iter().map(|&(name, n)| (name.to_owned(), n)).collect();
    Err(InputError::Rows { place: place(), counts })
}
