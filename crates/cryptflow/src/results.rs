//! What the runs of a model give: the results of each output, row by row.

use crate::batches::Batches;
use crate::npy::Tensor;

/// Why the results of an output cannot be told apart by rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the output {output:?} has the shape {shape:?}: its first axis does not count the rows of a batch, so that it is one result for a \
     whole batch of {batch} rows, and {rows} rows are not that. Give exactly {batch} rows, or compile the model with --batch 1"
)]
pub struct ResultsError {
    /// The output.
    pub output: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Rows of a batch.
    pub batch: usize,
    /// Rows that were given.
    pub rows: usize,
}

/// The results of one output over all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// Name of the output.
    pub name: String,
    /// Shape of one result, without the axis of rows.
    pub shape: Vec<usize>,
    /// One result for each row of the inputs; a single one where `whole`.
    pub rows: Vec<Vec<f32>>,
    /// It is one result for all rows together: the output's first axis does not count rows.
    pub whole: bool,
    /// How many there will be.
    total: usize,
    a_run: usize,
}

impl Results {
    /// Room for the results of an output of this shape, for so many rows of inputs.
    ///
    /// # Errors
    /// The output has no axis of rows, and the rows are not exactly one batch of several: there is
    /// no telling whose the results are.
    pub fn expect(
        name: &str,
        shape: &[usize],
        batches: &Batches,
        rows: usize,
    ) -> Result<Results, ResultsError> {
        let batch = batches.rows_a_run();
        let (row, counts_rows) = batches.row(shape);
        let whole = !counts_rows && batch > 1;
        if whole && rows != batch {
            return Err(ResultsError { output: name.into(), shape: shape.to_vec(), batch, rows });
        }
        Ok(Results {
            name: name.into(),
            shape: row.to_vec(),
            rows: Vec::with_capacity(rows),
            whole,
            total: if whole { 1 } else { rows },
            a_run: if counts_rows { batch } else { 1 },
        })
    }

    /// Adds what the next run gave: as many elements as the output's shape has. What only fills the
    /// last run is dropped.
    pub fn add(&mut self, opened: &[f32]) {
        let len: usize = self.shape.iter().product();
        let wanted = self.a_run.min(self.total - self.rows.len());
        self.rows
            .extend((0..wanted).map(|i| opened.iter().skip(i * len).take(len).copied().collect::<Vec<_>>()));
    }

    /// Shape of all results as one array: `[rows, …]`, or that of the result where it is one for
    /// all rows.
    pub fn tensor_shape(&self) -> Vec<usize> {
        let rows = if self.whole { None } else { Some(self.rows.len()) };
        rows.into_iter().chain(self.shape.iter().copied()).collect()
    }

    /// All results as one array.
    pub fn tensor(&self) -> Tensor {
        Tensor { shape: self.tensor_shape(), data: self.rows.concat() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_fall_into_rows() {
        // Shape of the input, rows, shape of the output, shape of the array that comes out.
        type Shape = &'static [usize];
        let table: [(Shape, usize, Shape, Result<Shape, &str>); 10] = [
            (&[2, 9], 5, &[2, 3], Ok(&[5, 3])),
            (&[2, 9], 1, &[2, 3], Ok(&[1, 3])),
            (&[2, 9], 3, &[2], Ok(&[3])),
            (&[2, 9], 3, &[2, 0], Ok(&[3, 0])),
            // A run for each row: what it gives is the row's.
            (&[1, 9], 3, &[1, 4], Ok(&[3, 4])),
            (&[1, 9], 3, &[4], Ok(&[3, 4])),
            (&[1, 9], 3, &[], Ok(&[3])),
            // One result for a whole batch.
            (&[2, 9], 2, &[3], Ok(&[3])),
            (&[2, 9], 4, &[3], Err("\"y\" has the shape [3]")),
            (&[2, 9], 1, &[], Err("Give exactly 2 rows")),
        ];
        for (input, rows, shape, expected) in table {
            let case = format!("{input:?}, {rows} rows, {shape:?}");
            let batches = Batches::of([input]);
            match (Results::expect("y", shape, &batches, rows), expected) {
                (Ok(mut results), Ok(expected)) => {
                    let len = shape.iter().product::<usize>();
                    for run in 0..batches.runs(rows) {
                        let opened: Vec<f32> = (0..len).map(|i| (run * len + i) as f32).collect();
                        results.add(&opened);
                    }
                    let tensor = results.tensor();
                    assert_eq!(tensor.shape, expected, "{case}");
                    // Rows that count up: nothing is lost, nothing is there twice.
                    let counting: Vec<f32> = (0..expected.iter().product()).map(|i| i as f32).collect();
                    assert_eq!(tensor.data, counting, "{case}");
                }
                (Err(error), Err(expected)) => {
                    assert!(error.to_string().contains(expected), "{case}: {error}")
                }
                (found, expected) => panic!("{case}: {found:?} where {expected:?} was due"),
            }
        }
    }
}
