//! What the runs of a model give: the results of each output, row by row.

use cryptflow_arrays::npy::Tensor;
use cryptflow_athos::{answer, numbers};
use cryptflow_engine::Beyond;
use cryptflow_graph::{Array, OpError};
use cryptflow_program::{Output, OutputTransform, Value};

use crate::batches::Batches;

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
    /// The rows, counted as in `rows`, that hold numbers outside of the bounds that the program
    /// declares.
    pub beyond: Vec<(usize, Beyond)>,
    /// The output's first axis counts rows.
    counts_rows: bool,
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
            beyond: Vec::new(),
            counts_rows,
            total: if whole { 1 } else { rows },
            a_run: if counts_rows { batch } else { 1 },
        })
    }

    /// Adds what the next run opened, fixed-point numbers of this output's value, and holds them against
    /// its bounds.
    pub fn open(&mut self, output: &Output, value: &Value, opened: &[i64]) {
        let before = self.rows.len();
        let real: Vec<f32> = numbers(output, value, opened).into_iter().map(|v| v as f32).collect();
        self.add(&real);
        let len: usize = self.shape.iter().product();
        let rows = (before..self.rows.len()).zip(opened.chunks(len.max(1)));
        self.beyond.extend(rows.filter_map(|(row, numbers)| Some((row, Beyond::of(value, numbers)?))));
    }

    /// Adds what the next run gave: as many elements as the output's shape has. What only fills the
    /// last run is dropped.
    pub fn add(&mut self, opened: &[f32]) {
        let len: usize = self.shape.iter().product();
        let wanted = self.a_run.min(self.total - self.rows.len());
        self.rows
            .extend((0..wanted).map(|i| opened.iter().skip(i * len).take(len).copied().collect::<Vec<_>>()));
    }

    /// What the model itself gives, where the client applies this to what is opened.
    ///
    /// # Errors
    /// Results that do not go with it.
    pub fn answered(&self, transform: Option<OutputTransform>) -> Result<Results, OpError> {
        let mut answered = Results { rows: Vec::with_capacity(self.rows.len()), ..self.clone() };
        for row in &self.rows {
            let given = answer(transform, Array::new(self.opened_shape(), row.clone())?)?;
            let skipped = usize::from(self.counts_rows).min(given.shape.len());
            answered.shape = given.shape.get(skipped..).unwrap_or_default().to_vec();
            answered.rows.push(given.data.to_vec());
        }
        Ok(answered)
    }

    /// Shape in which the parties open one result, with the axis of rows if there is one.
    pub fn opened_shape(&self) -> Vec<usize> {
        let batch = self.counts_rows.then_some(1);
        batch.into_iter().chain(self.shape.iter().copied()).collect()
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
