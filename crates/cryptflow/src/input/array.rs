//! From an array to rows.

use std::path::Path;

use super::{InputError, InputSpec, Row, push};
use cryptflow_arrays::npy::{Elements, NpyArray};
use cryptflow_pictures::{self as pictures, Picture};

/// Splits an array into rows and adds them to `rows`.
pub(super) fn rows(
    array: NpyArray,
    file: &Path,
    name: &str,
    spec: &InputSpec,
    rows: &mut Vec<Row>,
) -> Result<(), InputError> {
    let NpyArray { shape, elements } = array;
    if shape.contains(&0) {
        return Err(InputError::Empty { file: file.to_path_buf(), found: shape });
    }
    let label = |several: bool, i: usize| if several { format!("{name}[{i}]") } else { name.to_owned() };
    match elements {
        Elements::Floats(data) => {
            let several = rows_of(&shape, &spec.shape)
                .ok_or_else(|| wrong(file, &shape, spec, channels_hint(&shape, &spec.shape)))?;
            let row = data.len() / several.unwrap_or(1);
            for (i, part) in data.chunks_exact(row.max(1)).enumerate() {
                push(rows, label(several.is_some(), i), part.to_vec(), spec)?;
            }
        }
        Elements::Bytes(data) => {
            let Pictures { several, extents: [height, width, channels], planes } = pictures_of(&shape, spec)
                .ok_or_else(|| wrong(file, &shape, spec, channels_hint(&shape, &spec.shape)))?;
            let failed = |source| InputError::Preprocess { file: file.to_path_buf(), source };
            let row = data.len() / several.unwrap_or(1);
            for (i, part) in data.chunks_exact(row.max(1)).enumerate() {
                let pixels = if planes { interleave(part, channels) } else { part.to_vec() };
                let picture = Picture::new(height, width, channels, pixels).map_err(failed)?;
                let values = pictures::apply(picture, &spec.preprocessing, &spec.shape).map_err(failed)?;
                push(rows, label(several.is_some(), i), values, spec)?;
            }
        }
    }
    Ok(())
}

fn wrong(file: &Path, found: &[usize], spec: &InputSpec, hint: String) -> InputError {
    InputError::Shape {
        file: file.to_path_buf(),
        found: found.to_vec(),
        input: spec.name.clone(),
        needed: spec.shape.clone(),
        hint,
    }
}

/// How an array of this shape falls into rows: `Some(None)` is one row without a batch axis,
/// `Some(Some(n))` n rows.
fn rows_of(shape: &[usize], row: &[usize]) -> Option<Option<usize>> {
    let batch = shape.split_first();
    match batch {
        _ if shape == row => Some(None),
        Some((&n, rest)) if rest == row => Some(Some(n)),
        Some((&n, rest)) if regrouped(rest, row) => Some(Some(n)),
        _ if regrouped(shape, row) => Some(None),
        _ => None,
    }
}

/// Whether one shape becomes the other by merging neighbouring axes or by adding axes of length 1:
/// flattened pictures agree with their rows and columns, but channels first never agree with
/// channels last.
fn regrouped(a: &[usize], b: &[usize]) -> bool {
    let ends = |shape: &[usize]| -> Vec<usize> {
        let mut product = 1usize;
        let mut ends: Vec<usize> = shape
            .iter()
            .filter(|&&d| d != 1)
            .map(|&d| {
                product = product.saturating_mul(d);
                product
            })
            .collect();
        if ends.is_empty() {
            ends.push(1);
        }
        ends
    };
    let (a, b) = (ends(a), ends(b));
    let within = |few: &[usize], many: &[usize]| few.iter().all(|e| many.contains(e));
    a.last() == b.last() && (within(&a, &b) || within(&b, &a))
}

/// How an array of bytes falls into pictures.
struct Pictures {
    /// How many; `None` is one, without a batch axis.
    several: Option<usize>,
    /// Rows, columns and channels of each.
    extents: [usize; 3],
    /// One plane a channel, one after another.
    planes: bool,
}

fn pictures_of(shape: &[usize], spec: &InputSpec) -> Option<Pictures> {
    let last = match *spec.shape.as_slice() {
        [c, h, w] if spec.preprocessing.channels_first => vec![h, w, c],
        ref shape => shape.to_vec(),
    };
    // Without a change of size, the number of elements tells rows from a batch.
    if !pictures::changes_size(&spec.preprocessing) {
        for (wanted, planes) in [(&last, false), (&spec.shape, true)] {
            if let Some(several) = rows_of(shape, wanted) {
                let row = if several.is_some() { shape.get(1..)? } else { shape };
                return Some(Pictures { several, extents: picture_of(row, &last), planes });
            }
        }
    }
    if !spec.preprocessing.channels_first && !channels_hint(shape, &spec.shape).is_empty() {
        return None;
    }
    // An array without an axis of channels may be a batch of grey pictures or the planes of one in
    // colour: no guess.
    let grey = !matches!(last.as_slice(), [_, _, 3]);
    let (several, extents) = match *shape {
        [h, w] if grey => (None, [h, w, 1]),
        [h, w, c @ (1 | 3)] => (None, [h, w, c]),
        [n, h, w] if grey => (Some(n), [h, w, 1]),
        [n, h, w, c @ (1 | 3)] => (Some(n), [h, w, c]),
        _ => return None,
    };
    Some(Pictures { several, extents, planes: false })
}

/// Rows, columns and channels of a row that has as many elements as the model needs.
fn picture_of(row: &[usize], wanted: &[usize]) -> [usize; 3] {
    match (row, wanted) {
        (_, &[h, w, c]) | (&[h, w, c @ (1 | 3)], _) => [h, w, c],
        (_, &[h, w]) | (&[h, w], _) => [h, w, 1],
        _ => [1, row.iter().product(), 1],
    }
}

/// From one plane a channel to channels side by side.
fn interleave(planes: &[u8], channels: usize) -> Vec<u8> {
    let plane = planes.len() / channels.max(1);
    (0..plane).flat_map(|i| planes.iter().skip(i).step_by(plane)).copied().collect()
}

/// A guess at what is the matter where channels are on the wrong side.
fn channels_hint(shape: &[usize], row: &[usize]) -> String {
    let picture = if shape.len() == row.len() { shape } else { shape.get(1..).unwrap_or_default() };
    match (picture, row) {
        (&[c, h, w], &[h2, w2, c2]) if (c, h, w) == (c2, h2, w2) => {
            ": its channels come first, and the model wants them last (numpy's moveaxis turns them)".into()
        }
        (&[h, w, c], &[c2, h2, w2]) if (c, h, w) == (c2, h2, w2) => {
            ": its channels come last, and the model wants them first (numpy's moveaxis turns them)".into()
        }
        _ => String::new(),
    }
}
