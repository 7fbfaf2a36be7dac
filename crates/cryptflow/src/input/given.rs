//! Inputs that are arrays already.

use std::path::Path;

use super::columns::{of_input, same_rows};
use super::{InputError, InputSpec, Row, array};
use cryptflow_arrays::npy::NpyArray;

/// An array that somebody gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The input that it is for; that in the same place where none is said.
    pub input: Option<String>,
    /// What it is called where something is wrong with it.
    pub label: String,
    /// The array.
    pub array: NpyArray,
}

/// The rows of all inputs of a model, as [`super::columns`] reads them from files: for each input a
/// column, all of the same length.
///
/// # Errors
/// The first thing that is wrong, with the array and the row or with the names of the model's
/// inputs.
pub fn arrays(given: Vec<Given>, specs: &[InputSpec]) -> Result<Vec<Vec<Row>>, InputError> {
    let names = || specs.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>();
    let mut columns: Vec<Vec<Row>> = vec![Vec::new(); specs.len()];
    for (place, Given { input, label, array }) in given.into_iter().enumerate() {
        let index = match &input {
            Some(name) => of_input(name, specs)
                .ok_or_else(|| InputError::UnknownName { name: name.clone(), inputs: names() })?,
            None => place,
        };
        let (Some(spec), Some(rows)) = (specs.get(index), columns.get_mut(index)) else {
            return Err(InputError::TooMany { given: place + 1, inputs: names() });
        };
        array::rows(array, Path::new(&label), &label, spec, rows)?;
    }
    if let Some((spec, _)) = specs.iter().zip(&columns).find(|(_, rows)| rows.is_empty()) {
        return Err(InputError::MissingArray { input: spec.name.clone(), inputs: names() });
    }
    let counts: Vec<(&str, usize)> =
        specs.iter().zip(&columns).map(|(spec, rows)| (spec.name.as_str(), rows.len())).collect();
    same_rows(&counts, || "there are".into())?;
    Ok(columns)
}
