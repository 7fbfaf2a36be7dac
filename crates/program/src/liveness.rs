//! Liveness: when a value is used for the last time, and how much memory a program needs.

use crate::program::{Program, Value, ValueId};

/// Fills [`crate::Step::last_uses`] of every step: a value dies at the last step that uses it, at the step
/// that makes it if none does, and never if it is opened. Inputs that nothing uses die nowhere.
pub fn fill_last_uses(program: &mut Program) {
    let mut dead_already = vec![false; program.values.len()];
    for id in program.opened() {
        if let Some(slot) = dead_already.get_mut(id.0) {
            *slot = true;
        }
    }
    for step in program.steps.iter_mut().rev() {
        step.last_uses.clear();
        let used: Vec<ValueId> = step.inputs.iter().copied().chain([step.output]).collect();
        for id in used {
            if let Some(slot @ false) = dead_already.get_mut(id.0) {
                *slot = true;
                step.last_uses.push(id);
            }
        }
    }
}

/// The largest number of elements that are alive at one time: the inputs and the result of the
/// running step, and what later steps need.
pub fn peak_elements(program: &Program) -> u64 {
    let size = |id: ValueId| program.values.get(id.0).map_or(0, elements);
    let mut live: u64 = program.inputs.iter().map(|input| size(input.value)).sum();
    let mut peak = live;
    for step in &program.steps {
        live = live.saturating_add(size(step.output));
        peak = peak.max(live);
        let freed: u64 = step.last_uses.iter().map(|&id| size(id)).sum();
        live = live.saturating_sub(freed);
    }
    peak
}

fn elements(value: &Value) -> u64 {
    value.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64))
}
