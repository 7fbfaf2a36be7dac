//! A trial: a program run on examples, and compared with the float model.

use std::borrow::Cow;

use cryptflow_graph::Array;
use cryptflow_program::{Checked, Input};

use super::{Outside, Quantised, quantise};

use crate::fix::FixError;
use crate::fix::bounded::agreement::Agreement;
use crate::fix::chosen::Chosen;
use crate::fix::chosen::search::Touchstone;
use crate::fix::runner::{FixedRunner, LoadedProgram};

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
    let Quantised { program, weights, .. } = quantise(chosen, "trial", &outside)?;
    let mut agreement = Agreement::default();
    let loaded = runner.load(&program, Cow::Owned(weights))?;
    for &index in with.indices.iter().cycle().take(with.indices.len() * with.draws) {
        let outputs = run(&program, loaded.as_ref(), &with.examples.inputs[index], &mut |_, _| ())?;
        with.examples.add_to(&mut agreement, index, &outputs, &program);
        // The others will not make it agree.
        if !agreement.holds() && !with.to_the_end {
            break;
        }
    }
    Ok(agreement)
}

/// Runs a program on one example. `observe` sees every value that a step computes, by its id.
///
/// # Errors
/// Where it cannot be run.
pub(crate) fn run(
    program: &Checked,
    loaded: &dyn LoadedProgram,
    example: &[Array],
    observe: &mut dyn FnMut(usize, &[i64]),
) -> Result<Vec<Vec<i64>>, FixError> {
    let inputs: Vec<Vec<i64>> = example
        .iter()
        .zip(&program.inputs)
        .map(|(array, input)| {
            // Examples have been multiplied with the factors of their columns.
            let input = Input { factors: Vec::new(), ..input.clone() };
            input.integers(&array.data, program.scale_of(input.value))
        })
        .collect();
    Ok(loaded.run(&inputs, &mut |id, data| observe(id.0, data))?)
}
