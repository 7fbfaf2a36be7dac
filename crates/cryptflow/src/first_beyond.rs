//! Where inside of a model a value leaves its bounds first. Opened outputs do not tell; plain
//! integers do, and whoever has the weights can compute with them.

use cryptflow_athos::fix::{FixedRunner, LoadedProgram};
use cryptflow_engine::Beyond;
use cryptflow_program::{Checked, guard::counts};
use serde::Serialize;

use crate::batches::Batches;
use crate::clear_runner::ClearRunner;
use crate::error::{Error, Result};
use crate::fixed;
use crate::input::Row;

/// The first step in which a value left its bounds, over all rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FirstBeyond {
    /// The step, counted from 0.
    pub step: usize,
    /// Its node in the source model.
    pub layer: String,
    /// What it computes.
    pub operation: &'static str,
    /// The row, counted from 0.
    pub row: usize,
    /// What left the bounds there; none where it is so close to zero, for what divides by it, that
    /// rounding is a part of it.
    #[serde(flatten)]
    pub beyond: Option<Beyond>,
    /// Rows in which any value left its bounds.
    pub rows: usize,
}

/// Runs a program on plain integers, on all rows of its inputs, and holds every value against its
/// bounds. `None` where none left them.
///
/// # Errors
/// The program cannot be run.
pub fn first_beyond(
    program: &Checked,
    weights: &[Vec<i64>],
    batches: &Batches,
    columns: &[Vec<Row>],
) -> Result<Option<FirstBeyond>> {
    let loaded = ClearRunner.load(program, &mut weights.iter().cloned()).map_err(Error::new)?;
    let counts = counts(program);
    let rows = columns.first().map_or(0, Vec::len);
    let mut first: Option<FirstBeyond> = None;
    let mut left = 0;
    for run in 0..batches.runs(rows) {
        let batch: Vec<_> = columns.iter().map(|column| batches.fill(run, column)).collect();
        let Some(found) = look(program, &counts, loaded.as_ref(), &batch)? else { continue };
        for row in batches.rows_of(run, rows) {
            // Which row of several it was cannot be read from every value: shapes change on the
            // way.
            let found = if batches.rows_a_run() == 1 {
                Some(found)
            } else {
                let alone: Vec<_> =
                    columns.iter().filter_map(|column| Some(batches.alone(column.get(row)?))).collect();
                look(program, &counts, loaded.as_ref(), &alone)?
            };
            let Some((step, beyond)) = found else { continue };
            left += 1;
            if first.as_ref().is_none_or(|first| step < first.step)
                && let Some(told) = program.steps.get(step)
            {
                let (layer, operation) = (told.name.clone(), told.operation.name());
                first = Some(FirstBeyond { step, layer, operation, row, beyond, rows: 0 });
            }
        }
    }
    Ok(first.map(|first| FirstBeyond { rows: left, ..first }))
}

/// The first step of a run whose value leaves its bounds; or, where none does, that of a layer of which
/// the guard counts elements.
fn look(
    program: &Checked,
    counts: &[bool],
    loaded: &dyn LoadedProgram,
    batch: &[Vec<f32>],
) -> Result<Option<(usize, Option<Beyond>)>> {
    let (mut step, mut first, mut counted) = (0, None, None);
    // Every step computes one value, one after another.
    let mut observe = |id: cryptflow_program::ValueId, numbers: &[i64]| {
        if first.is_none()
            && let Some(value) = program.values.get(id.0)
        {
            first = Beyond::of(value, numbers).map(|beyond| (step, Some(beyond)));
        }
        if counted.is_none() && counts.get(step) == Some(&true) && numbers.iter().any(|&n| n != 0) {
            counted = Some((step, None));
        }
        step += 1;
    };
    loaded.run(&fixed::inputs(program, batch)?, &mut observe).map_err(Error::new)?;
    Ok(first.or(counted))
}
