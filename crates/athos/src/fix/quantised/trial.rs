//! A trial: a program run on examples, and compared with the float model.

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
    let Quantised { program, numbers, .. } = quantise(chosen, "trial", &outside)?;
    let loaded = runner.load(&program, &mut numbers.each())?;
    let at_once = loaded.at_once().max(1);
    let mut turns: Vec<usize> = with.indices.repeat(with.draws);
    let mut agreement = Agreement::default();
    // What single runs showed, those of several begin with.
    if let Some(known) = with.known.filter(|known| known.examples.is_multiple_of(at_once)) {
        loaded.pass_over(known.examples);
        turns.drain(..known.examples.min(turns.len()));
        agreement = known;
    }
    for indices in turns.chunks(at_once * loaded.beside().max(1)) {
        // The others will not make it agree.
        if !agreement.holds() && !with.to_the_end {
            break;
        }
        let inputs = |&index: &usize| integers(&program, &with.examples.inputs[index]);
        let all = loaded.run_several(&indices.iter().map(inputs).collect::<Vec<_>>())?;
        for (indices, all) in indices.chunks(at_once).zip(all.chunks(at_once)) {
            for (&index, outputs) in indices.iter().zip(all) {
                with.examples.add_to(&mut agreement, index, outputs, &program);
            }
            // Beside each other or not, as many are judged.
            if !agreement.holds() && !with.to_the_end {
                break;
            }
        }
    }
    Ok(agreement)
}

/// Runs a program on one example. `observe` sees every value that a step computes and that is watched, by its id.
///
/// # Errors
/// Where it cannot be run.
pub(crate) fn run(
    program: &Checked,
    loaded: &dyn LoadedProgram,
    example: &[Array],
    watched: &dyn Fn(usize) -> bool,
    observe: &mut dyn FnMut(usize, &[i64]),
) -> Result<Vec<Vec<i64>>, FixError> {
    let inputs = integers(program, example);
    Ok(loaded.run_watched(&inputs, &|id| watched(id.0), &mut |id, data| observe(id.0, data))?)
}

/// An example as the program's inputs.
fn integers(program: &Checked, example: &[Array]) -> Vec<Vec<i64>> {
    example
        .iter()
        .zip(&program.inputs)
        .map(|(array, input)| {
            // Examples have been multiplied with the factors of their columns.
            let input = Input { factors: Vec::new(), ..input.clone() };
            input.integers(&array.data, program.scale_of(input.value))
        })
        .collect()
}
