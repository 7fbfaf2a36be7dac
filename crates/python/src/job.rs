//! Runs of a program, and what comes of them.

use cryptflow::input::Row;
use cryptflow::report::{Answers, Known, OutputReport, Report};
use cryptflow::results::Results;
use cryptflow_athos::Meaning;
use cryptflow_program::Program;

use crate::arrays;
use crate::failure::Failure;

/// What a run gave, as Python takes it: the outputs by name, as bytes of arrays; what it took, as
/// JSON; and what whoever reads it must know.
pub(crate) type Outcome = (Vec<(String, Vec<u8>)>, String, Vec<String>);

/// What the numbers of the outputs say, as far as the compiler's report tells.
pub(crate) fn meanings(report: Option<&serde_json::Value>) -> Vec<Meaning> {
    let meanings = report.and_then(|report| report.get("outputs"));
    meanings.and_then(|m| serde_json::from_value(m.clone()).ok()).unwrap_or_default()
}

/// What is known of each output.
pub(crate) fn known<'a>(program: &'a Program, meanings: &[Meaning]) -> Vec<Known<'a>> {
    let known = |(index, output): (usize, &'a cryptflow_program::Output)| Known {
        transform: output.transform,
        meaning: meanings.get(index).copied().unwrap_or_default(),
        labels: None,
        classes: output.classes.as_ref(),
    };
    program.outputs.iter().enumerate().map(known).collect()
}

/// Puts together what is told of opened results. `raw` is what was opened; otherwise it is what the
/// model itself returns.
pub(crate) fn outcome(
    known: &[Known<'_>],
    results: &[Results],
    rows: &[Row],
    mut report: Report,
    raw: bool,
) -> std::result::Result<Outcome, Failure> {
    let outputs = results.iter().zip(known).map(|(results, &known)| OutputReport::new(results, None, known));
    let outputs = outputs.collect::<std::result::Result<_, _>>().map_err(Failure::program)?;
    report.answers = Answers::new(rows.iter().map(|row| row.name.clone()).collect(), outputs);
    let json = serde_json::to_string(&report).map_err(Failure::bug)?;
    let arrays = results.iter().zip(known).map(|(results, known)| {
        let bytes = if raw {
            arrays::written(results, Default::default(), None)
        } else {
            let answered = results.answered(known.transform).map_err(Failure::program)?;
            arrays::written(&answered, known.written_as(), known.written_names())
        };
        Ok((results.name.clone(), bytes.map_err(Failure::bug)?))
    });
    let arrays = arrays.collect::<std::result::Result<_, Failure>>()?;
    Ok((arrays, json, report.warnings()))
}

/// The name of a step, for who waits.
pub(crate) fn step(step: &cryptflow_program::Step) -> String {
    format!("{} {}", step.operation.name(), step.name)
}
