//! Which steps of a program are those of its guard ([`Program::guard`]): what it costs is theirs.

use cryptflow_operation::Operation;

use crate::program::{Program, ValueId};

/// For each step whether nothing but the guard comes of it: comparisons with bounds, the count of what
/// is outside, and the products of outputs with whether there was anything. None of a program without
/// a guard.
pub fn steps(program: &Program) -> Vec<bool> {
    let mut guards = vec![false; program.steps.len()];
    if program.guard.is_none() {
        return guards;
    }
    // Values that something else than the guard uses.
    let mut answers = vec![false; program.values.len()];
    for output in &program.outputs {
        mark(&mut answers, output.value);
    }
    for (step, guard) in program.steps.iter().zip(&mut guards).rev() {
        let is_output = program.outputs.iter().any(|output| output.value == step.output);
        let masks = is_output && matches!(step.operation, Operation::Product(_));
        let wanted = answers.get(step.output.0).copied().unwrap_or(false);
        *guard = masks || !wanted;
        // Of an output's product the answer comes first, and the guard's part second.
        let inputs = if masks { step.inputs.get(..1).unwrap_or_default() } else { &step.inputs };
        if wanted {
            inputs.iter().for_each(|&id| mark(&mut answers, id));
        }
    }
    guards
}

/// For each step whether it gives the guard's count of the elements of a layer that are where none may be.
pub fn counts(program: &Program) -> Vec<bool> {
    let mut counts = vec![false; program.steps.len()];
    let mut on_the_way = vec![false; program.values.len()];
    program.guard.iter().for_each(|&flag| mark(&mut on_the_way, flag));
    for (step, count) in program.steps.iter().zip(&mut counts).rev() {
        if !on_the_way.get(step.output.0).copied().unwrap_or(false) {
            continue;
        }
        match &step.operation {
            Operation::Combine(_) => *count = true,
            // The sum of all counts, whether it is zero, and the form that this has.
            Operation::Add | Operation::Compare(_) | Operation::Movement(_) | Operation::Widen => {
                step.inputs.iter().for_each(|&id| mark(&mut on_the_way, id));
            }
            // Nothing else stands between.
            _ => {}
        }
    }
    counts
}

fn mark(marked: &mut [bool], id: ValueId) {
    if let Some(slot) = marked.get_mut(id.0) {
        *slot = true;
    }
}
