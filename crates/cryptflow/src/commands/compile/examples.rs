//! Examples of inputs, in batches as the graph wants them.

use std::path::PathBuf;

use cryptflow::error::{Error, Result};
use cryptflow::input::{self, InputSpec};
use cryptflow_athos::{Array, Graph};
use cryptflow_program::Preprocessing;

/// Reads at most `most` rows for each input, spread evenly over what there is, and puts them together in batches. Where the last
/// batch is not full, rows from the beginning fill it.
pub(crate) fn read(
    graph: &Graph,
    paths: &[PathBuf],
    preprocessing: &Preprocessing,
    most: usize,
) -> Result<Vec<Vec<Array>>> {
    let mut columns = Vec::with_capacity(graph.inputs.len());
    for &id in &graph.inputs {
        let node = graph.node(id);
        let (&batch, row) = node.shape.split_first().unwrap_or((&1, &[]));
        let spec = InputSpec {
            name: node.name.clone(),
            shape: row.to_vec(),
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
            preprocessing: preprocessing.clone(),
        };
        let rows = input::read(paths, &spec).map_err(Error::new)?;
        let chosen = spread(rows.len(), most.max(1));
        let rows: Vec<Vec<f32>> =
            rows.into_iter().zip(chosen).filter_map(|(row, chosen)| chosen.then_some(row.data)).collect();
        columns.push((node.shape.clone(), batched(&rows, batch.max(1))));
    }
    let examples = columns.iter().map(|(_, batches)| batches.len()).min().unwrap_or(0);
    if columns.iter().any(|(_, batches)| batches.len() != examples) {
        return Err(Error::new("the calibration data hold different numbers of rows for the model's inputs"));
    }
    (0..examples)
        .map(|index| {
            let one = |(shape, batches): &(Vec<usize>, Vec<Vec<f32>>)| {
                let data = batches.get(index).cloned().unwrap_or_default();
                Array::new(shape.clone(), data).map_err(Error::new)
            };
            columns.iter().map(one).collect()
        })
        .collect()
}

/// Which of `n` rows to take, at most `most`, evenly spread.
fn spread(n: usize, most: usize) -> Vec<bool> {
    let mut chosen = vec![n <= most; n];
    if n > most {
        for i in 0..most {
            chosen[i * n / most] = true;
        }
    }
    chosen
}

fn batched(rows: &[Vec<f32>], batch: usize) -> Vec<Vec<f32>> {
    let batches = rows.len().div_ceil(batch);
    (0..batches)
        .map(|b| rows.iter().cycle().skip(b * batch).take(batch).flatten().copied().collect())
        .collect()
}

/// The range of pixels after the preprocessing, where there is one to speak of.
pub(super) fn pixel_range(p: &Preprocessing) -> Option<(f64, f64)> {
    if p.divide.is_none() && p.mean.is_empty() && p.std.is_empty() {
        return None;
    }
    let divide = p.divide.unwrap_or(1.0);
    let channels = p.mean.len().max(p.std.len()).max(1);
    let mut range = (f64::INFINITY, f64::NEG_INFINITY);
    for c in 0..channels {
        for pixel in [0.0, 255.0] {
            let at = |v: &[f64], otherwise: f64| v.get(c).or(v.first()).copied().unwrap_or(otherwise);
            let v = (pixel / divide - at(&p.mean, 0.0)) / at(&p.std, 1.0);
            range = (range.0.min(v), range.1.max(v));
        }
    }
    Some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_spread_and_batched() {
        assert_eq!(spread(3, 5), [true; 3]);
        assert_eq!(spread(6, 3), [true, false, true, false, true, false]);
        let rows: Vec<Vec<f32>> = (0..5).map(|i| vec![i as f32]).collect();
        assert_eq!(batched(&rows, 2), [[0.0, 1.0], [2.0, 3.0], [4.0, 0.0]]);
    }

    #[test]
    fn range_of_pixels() {
        let p = |divide, mean: &[f64], std: &[f64]| Preprocessing {
            divide,
            mean: mean.to_vec(),
            std: std.to_vec(),
            ..Preprocessing::default()
        };
        assert_eq!(pixel_range(&p(None, &[], &[])), None);
        assert_eq!(pixel_range(&p(Some(255.0), &[], &[])), Some((0.0, 1.0)));
        assert_eq!(pixel_range(&p(Some(127.5), &[1.0], &[])), Some((-1.0, 1.0)));
        assert_eq!(pixel_range(&p(None, &[100.0, 120.0], &[1.0, 2.0])), Some((-100.0, 155.0)));
    }
}
