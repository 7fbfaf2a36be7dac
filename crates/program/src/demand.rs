//! What a program demands of whoever runs it, known before it runs: a file of a kilobyte may ask for
//! more memory than there is.

use crate::program::{Program, Step, ValueId};

/// Bytes that a party's process holds before it computes.
pub const PROCESS: u64 = 24 << 20;

/// Bytes of a party's part of an element: two words in Mirror, the protocol that holds most.
const PART: u64 = 16;

/// Bytes that a step holds of each element of its operands and its result while it runs, beside their
/// parts: what a map makes of them, and the messages.
const RUNNING: u64 = 24;

/// Elements that steps beside each other compute on at a time, at most: those of a comparison's material for which
/// there is room. A step of more runs alone.
pub const MOST_BESIDE: u64 = WAVE;
/// Elements that are made before steps that stand before them have ended, at most.
pub const MOST_AHEAD: u64 = 1 << 20;

/// Elements of which a protocol holds the material of a comparison at a time, at most, and bytes of it
/// for each.
const WAVE: u64 = 1 << 20;
const COMPARED: u64 = 160;

/// Operations that an element of a result takes, and a step, in the time of a multiplication.
const ELEMENT: u64 = 64;
const STEP: u64 = 40_000;

/// What one run of a program takes at a party, about: an estimate from above, in any protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Bytes, at most at one time.
    pub memory: u64,
    /// Of these, what several runs at once ([`crate::repeat`]) have in common.
    pub held: u64,
    /// Operations, in the time of a multiplication.
    pub work: u64,
}

/// The demand of a program whose values are freed as its steps say. It need not be valid.
pub fn demand(program: &Program) -> Demand {
    let size = |id: ValueId| program.values.get(id.0).map_or(0, |value| elements(&value.shape));
    let weights = sum(program.weights.iter().map(|weight| elements(&weight.shape)));
    let held = weights.saturating_mul(PART).saturating_add(PROCESS);
    let mut live = sum(program.inputs.iter().map(|input| size(input.value)));
    let mut memory = held.saturating_add(live.saturating_mul(PART));
    let mut work = 0u64;
    for step in &program.steps {
        let out = size(step.output);
        let operands = sum(step.inputs.iter().map(|&id| size(id)));
        live = live.saturating_add(out);
        let running = operands.saturating_add(out).saturating_mul(RUNNING);
        let now =
            live.saturating_mul(PART).saturating_add(running).saturating_add(compared(step, operands, out));
        memory = memory.max(held.saturating_add(now));
        let elements = operands.saturating_add(out.saturating_mul(ELEMENT));
        work = work.saturating_add(step.operation.macs()).saturating_add(elements).saturating_add(STEP);
        live = live.saturating_sub(sum(step.last_uses.iter().map(|&id| size(id))));
    }
    Demand { memory: memory.saturating_add(beside(program)), held, work }
}

/// Bytes of what is made ahead of its turn, and held by steps beside others; none where each step uses what the one before it made.
fn beside(program: &Program) -> u64 {
    let one_by_one = |pair: &[Step]| match pair {
        [before, step] => step.inputs.contains(&before.output),
        _ => true,
    };
    if program.steps.windows(2).all(one_by_one) {
        return 0;
    }
    let made = program.steps.iter().map(|step| program.values.get(step.output.0));
    let made = sum(made.map(|value| value.map_or(0, |value| elements(&value.shape))));
    let running = made.min(MOST_BESIDE).saturating_mul(2 * RUNNING);
    made.min(MOST_AHEAD).saturating_mul(PART).saturating_add(running)
}

/// Bytes of the material of a step's comparisons.
fn compared(step: &Step, operands: u64, out: u64) -> u64 {
    match step.operation.compare_bits() {
        Some(_) => operands.max(out).min(WAVE).saturating_mul(COMPARED),
        None => 0,
    }
}

fn elements(shape: &[usize]) -> u64 {
    shape.iter().fold(1, |n: u64, &extent| n.saturating_mul(extent as u64))
}

fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}
