//! A trial: a program run on examples, and compared with the float model.

use std::collections::HashMap;

use cryptflow_graph::{Array, Range};
use cryptflow_operation::Bounds;

use super::{Outside, Quantised, quantise};

use crate::fix::FixError;
use crate::fix::bounded::agreement::Agreement;
use crate::fix::chosen::Chosen;
use crate::fix::chosen::search::Touchstone;
use crate::fix::planned::Strays;
use crate::fix::planned::plan::{Limits, PlanStep};
use crate::fix::runner::{FixedRunner, LoadedProgram};
use crate::fix::units::exp2;

/// Makes the program of a choice and runs it, as often as the touchstone says: to the end, or until an
/// example is found on which it does not agree.
///
/// # Errors
/// Where the program cannot be run.
pub(crate) fn compare(
    chosen: &Chosen,
    with: &Touchstone<'_>,
    runner: &dyn FixedRunner,
) -> Result<Agreement, FixError> {
    let outside = Outside { digits: with.examples.digits(), ..Outside::default() };
    let quantised = quantise(chosen, "trial", &outside)?;
    let mut agreement = Agreement::default();
    let loaded = runner.load(&quantised.program, &quantised.weights)?;
    for &index in with.indices.iter().cycle().take(with.indices.len() * with.draws) {
        let outputs = run(&quantised, loaded.as_ref(), &with.examples.inputs[index], &mut |_, _| ())?;
        with.examples.add_to(&mut agreement, index, &outputs, &quantised.program);
        // The others will not make it agree.
        if !agreement.holds() && !with.to_the_end {
            break;
        }
    }
    Ok(agreement)
}

/// How far rounding leads operands of functions out of what these are made for, on examples that are
/// all within: the function's node, and the smallest and the largest operand, where one is outside.
///
/// # Errors
/// Where the program cannot be run.
pub(crate) fn strays(
    chosen: &Chosen,
    with: &Touchstone<'_>,
    runner: &dyn FixedRunner,
) -> Result<Strays, FixError> {
    let plan = &chosen.plan;
    let assumes = |step: &&PlanStep| matches!(plan.values[step.output].limits, Limits::Assumed(_));
    let names: HashMap<usize, &str> =
        plan.steps.iter().filter(assumes).map(|step| (step.output, step.name.as_str())).collect();
    let mut strays = Strays::default();
    if names.is_empty() {
        return Ok(strays);
    }
    let quantised = quantise(chosen, "trial", &Outside::default())?;
    let loaded = runner.load(&quantised.program, &quantised.weights)?;
    for &index in with.indices {
        let mut observe = |value: usize, numbers: &[i64]| {
            let Some(name) = quantised.values.get(value).and_then(|planned| names.get(planned)) else {
                return;
            };
            let declared = &quantised.program.values[value];
            let (seen, unit) = (Bounds::of(numbers.iter().copied()), exp2(declared.scale));
            if seen.low < declared.low || seen.high > declared.high {
                let range = Range { low: seen.low as f64 / unit, high: seen.high as f64 / unit };
                let all = strays.entry(name.to_string()).or_insert(range);
                *all = all.union(range);
            }
        };
        run(&quantised, loaded.as_ref(), &with.examples.inputs[index], &mut observe)?;
    }
    Ok(strays)
}

/// Runs a program on one example. `observe` sees every value that a step computes, by its id.
///
/// # Errors
/// Where it cannot be run.
pub(crate) fn run(
    quantised: &Quantised,
    loaded: &dyn LoadedProgram,
    example: &[Array],
    observe: &mut dyn FnMut(usize, &[i64]),
) -> Result<Vec<Vec<i64>>, FixError> {
    let unit = |index: usize| exp2(quantised.program.values.get(index).map_or(0, |v| v.scale));
    let inputs: Vec<Vec<i64>> = example
        .iter()
        .enumerate()
        .map(|(index, array)| {
            array.data.iter().map(|&v| (f64::from(v) * unit(index)).round() as i64).collect()
        })
        .collect();
    Ok(loaded.run(&inputs, &mut |id, data| observe(id.0, data))?)
}
