//! What is said of numbers that left their bounds.

use cryptflow_engine::Beyond;
use cryptflow_figures::table::number;
use serde::Serialize;

use crate::first_beyond::FirstBeyond;
use crate::results::Results;

/// What is known of how a program was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nothing: the file has no report of the compiler.
    #[default]
    Unknown,
    /// Its bounds come from examples.
    Calibrated,
    /// Its bounds are worst cases.
    WorstCases,
}

/// A row of an output that left its bounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutOfBounds {
    /// The row, counted from 0; absent where the output is one result for all rows.
    pub row: Option<usize>,
    /// What is outside.
    #[serde(flatten)]
    pub beyond: Beyond,
}

/// Rows without an answer that are named, at most.
const HELD_NAMED: usize = 5;

impl OutOfBounds {
    /// All of them among these results.
    pub(super) fn of(results: &Results) -> Vec<OutOfBounds> {
        let rows = results.beyond.iter();
        rows.map(|&(row, beyond)| OutOfBounds { row: (!results.whole).then_some(row), beyond }).collect()
    }
}

/// That an output left its bounds in these rows: the one that is farthest outside is named. The
/// inputs are called so.
pub(super) fn of_output(output: &str, rows: &[OutOfBounds], inputs: &[String]) -> String {
    let Some(worst) = rows.iter().max_by(|a, b| a.beyond.by().total_cmp(&b.beyond.by())) else {
        return String::new();
    };
    let place = worst.row.map_or("all inputs together".into(), |row| place(row, inputs));
    let others = match rows.len() {
        1 => String::new(),
        n => format!("; {n} of {} rows left them", inputs.len()),
    };
    format!("the output {output:?} left its bounds in {place}: {}{others}", told(&worst.beyond))
}

/// Why a model with a guard gives no answer for these rows; where it was, if that is known.
pub fn held_back(rows: &[usize], first: Option<&FirstBeyond>, inputs: &[String]) -> String {
    let named: Vec<String> = rows.iter().take(HELD_NAMED).map(|&row| place(row, inputs)).collect();
    let others = match rows.len() - named.len() {
        0 => String::new(),
        others => format!(" and {others} more of {} rows", inputs.len()),
    };
    let inside = first.map_or(String::new(), |first| format!(": {}", inside(first, inputs)));
    format!(
        "there is no answer for {}{others}: a value inside of the model left its bounds, and the model was compiled with \
         --guard{inside}. The input is unlike the calibration data: compile again with more of it, in which there are inputs like \
         this, or with a larger --margin; or run the other rows without it",
        named.join(", ")
    )
}

/// That values inside of the model did.
pub(super) fn inside(first: &FirstBeyond, inputs: &[String]) -> String {
    let FirstBeyond { step, layer, operation, row, beyond, rows } = first;
    let Some(beyond) = beyond else {
        return format!(
            "the model divides by values of layer {layer}, or takes their logarithm, and in {} some of them are so close to \
             zero that rounding is a part of them; so it is in {rows} of {} rows",
            place(*row, inputs),
            inputs.len()
        );
    };
    format!(
        "inside of the model, values left their bounds first in layer {layer} (step {step}, {operation}), in {}: {}; in \
         {rows} of {} rows values left them",
        place(*row, inputs),
        told(beyond),
        inputs.len()
    )
}

/// A row, by its number and by the name of what was given.
fn place(row: usize, inputs: &[String]) -> String {
    match inputs.get(row) {
        Some(name) => format!("row {row} ({name})"),
        None => format!("row {row}"),
    }
}

fn told(beyond: &Beyond) -> String {
    let [value, by, low, high] = [beyond.value, beyond.by(), beyond.low, beyond.high].map(number);
    format!("{value} is {by} outside of {low} to {high}")
}

/// What follows from it, and what to do.
pub(super) fn advice(origin: Origin) -> &'static str {
    match origin {
        Origin::WorstCases => {
            ". The answers of these rows may be wrong. The bounds are worst cases for inputs in their ranges, which \
             nothing should leave: please report this"
        }
        Origin::Calibrated | Origin::Unknown => {
            ". The answers of these rows may be wrong: values are beyond what calibration saw. Compile again with more \
             calibration data, in which there are inputs like these, or with a larger --margin"
        }
    }
}

/// What else it may be.
pub(super) const FAILED_TRUNCATION: &str = ". Or a truncation of this protocol failed, which another run tells (`cryptflow inspect` says how often that is)";
