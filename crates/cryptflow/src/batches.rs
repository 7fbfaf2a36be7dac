//! Rows and batches: how the rows of a model's inputs fall into its runs.
//!
//! A model is compiled for inputs of fixed shapes. Where all of them have the same first axis, that
//! is the batch: a run takes so many rows. Where they do not, or where the compiler found that rows
//! influence each other, no axis counts rows: a row is a whole array for each input, and a run takes
//! one.

use std::path::PathBuf;

use cryptflow_program::Batch;

use crate::input::{self, InputError, InputSpec, Row};

/// Where rows come from: for every input that it is told of a column, all of the same length.
pub type Reader<'a> = &'a mut dyn FnMut(&[InputSpec]) -> Result<Vec<Vec<Row>>, InputError>;

/// How many rows a run of a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batches {
    /// The first axis that all inputs have in common, where it counts rows.
    axis: Option<usize>,
    /// Why it does not, where they have one.
    batch: Batch,
}

impl Batches {
    /// Of a model whose inputs have these shapes.
    pub fn of<'a>(inputs: impl IntoIterator<Item = &'a [usize]>) -> Batches {
        let mut firsts = inputs.into_iter().map(|shape| shape.first().copied());
        let axis = firsts.next().flatten().filter(|&n| n > 0);
        Batches { axis: axis.filter(|&n| firsts.all(|other| other == Some(n))), batch: Batch::Rows }
    }

    /// Of a program whose inputs have these shapes.
    pub fn new<'a>(batch: Batch, inputs: impl IntoIterator<Item = &'a [usize]>) -> Batches {
        match batch {
            Batch::Rows => Batches::of(inputs),
            Batch::Whole => Batches { axis: None, batch },
        }
    }

    /// Rows that one run takes, at least 1.
    pub fn rows_a_run(&self) -> usize {
        self.axis.unwrap_or(1)
    }

    /// Runs that so many rows take.
    pub fn runs(&self, rows: usize) -> usize {
        rows.div_ceil(self.rows_a_run())
    }

    /// The shape of a row of an input or an output, and whether the first axis of `shape` counts
    /// rows. Where it does not, the whole is one row's if a run takes one, and all rows' together
    /// otherwise.
    pub fn row<'a>(&self, shape: &'a [usize]) -> (&'a [usize], bool) {
        match shape.split_first() {
            Some((&first, row)) if Some(first) == self.axis => (row, true),
            _ => (shape, false),
        }
    }

    /// Reads the rows of all inputs from files, see [`input::columns`]. The shapes of `inputs` are
    /// those that the model was compiled for.
    ///
    /// # Errors
    /// As [`input::columns`].
    pub fn read(&self, given: &[PathBuf], inputs: Vec<InputSpec>) -> Result<Vec<Vec<Row>>, InputError> {
        self.read_by(inputs, &mut |specs| input::columns(given, specs))
    }

    /// Reads the rows of all inputs from wherever `read` has them.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read_by(&self, mut inputs: Vec<InputSpec>, read: Reader<'_>) -> Result<Vec<Vec<Row>>, InputError> {
        let shapes: Vec<String> = inputs.iter().map(|i| format!("{} {:?}", i.name, i.shape)).collect();
        for input in &mut inputs {
            input.shape = self.row(&input.shape).0.to_vec();
        }
        read(&inputs).map_err(|mut error| {
            if let InputError::Shape { hint, .. } = &mut error
                && self.axis.is_none()
            {
                match self.batch {
                    Batch::Whole => hint.push_str(
                        ". The first axis of the model counts no rows (what stands in one changes the answers of others), so that a \
                         row is a whole array: of as many as compile's --batch says, where the model takes any number",
                    ),
                    Batch::Rows if shapes.len() > 1 => hint.push_str(&format!(
                        ". The model's inputs have no batch axis in common ({}), so that a row is a whole array for each",
                        shapes.join(", ")
                    )),
                    Batch::Rows => {}
                }
            }
            error
        })
    }

    /// The rows of a run, of so many in all.
    pub fn rows_of(&self, run: usize, rows: usize) -> std::ops::Range<usize> {
        let size = self.rows_a_run();
        (run * size).min(rows)..((run + 1) * size).min(rows)
    }

    /// One input of a run that holds nothing but this row.
    pub fn alone(&self, row: &Row) -> Vec<f32> {
        row.data.repeat(self.rows_a_run())
    }

    /// One input of one run, counted from 0. Where the last run is not full, rows from the
    /// beginning fill it.
    pub fn fill(&self, run: usize, column: &[Row]) -> Vec<f32> {
        let size = self.rows_a_run();
        let rows = column.iter().cycle().skip(run * size).take(size);
        rows.flat_map(|row| row.data.iter().copied()).collect()
    }
}
