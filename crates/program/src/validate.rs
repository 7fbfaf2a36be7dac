//! Whether a program is one that a party can run: checked when it is compiled, and again when it is
//! read.

use std::collections::HashSet;

use cryptflow_operation::{Site, Tensor, WeightTensor};
use cryptflow_ring::movement::elements;

use crate::checked::Checked;
use crate::program::{OLDEST, Program, Step, VERSION, Value, ValueId};

/// Bits of the smallest ring that wide values may be in.
const SMALLEST_RING: u32 = 8;

/// Why a program cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Invalid {
    /// Where: an input, an output, a value, a weight or a step, with its name.
    pub place: String,
    /// What is wrong there.
    pub reason: String,
}

impl Invalid {
    fn new(place: impl Into<String>, reason: impl Into<String>) -> Invalid {
        Invalid { place: place.into(), reason: reason.into() }
    }
}

/// Holds a program to all of its rules: every id is in range, every value is defined once, before
/// it is used, and not used after its last use; shapes, scales and rings of every step go together,
/// and bounds fit the rings (see [`cryptflow_operation::bits`]). What comes out can be run without
/// further questions.
///
/// # Errors
/// The first thing that is wrong.
pub fn validate(program: Program) -> Result<Checked, Invalid> {
    validate_runs(program, 1)
}

/// The same of so many runs at once, each of which has a guard of its own.
pub(crate) fn validate_runs(program: Program, runs: usize) -> Result<Checked, Invalid> {
    header(&program)?;
    let elements = tensors(&program)?;
    let mut state =
        State { defined: vec![false; program.values.len()], dead: vec![false; program.values.len()] };
    inputs(&program, &mut state)?;
    let mut rings = rings(&program)?;
    let weights: Vec<WeightTensor<'_>> =
        program.weights.iter().map(|w| WeightTensor { shape: &w.shape, scale: w.scale }).collect();
    for (index, step) in program.steps.iter().enumerate() {
        let place = || format!("step {index} ({})", step.name);
        state.step(step, &place)?;
        operation(&program, &weights, &mut rings, step).map_err(|reason| Invalid::new(place(), reason))?;
    }
    for output in &program.outputs {
        let place = || format!("output {}", output.name);
        if !state.is_defined(output.value) {
            return Err(Invalid::new(place(), format!("value {} is never computed", output.value.0)));
        }
        if state.dead.get(output.value.0) == Some(&true) {
            return Err(Invalid::new(place(), format!("value {} is freed before the end", output.value.0)));
        }
    }
    if let Some(guard) = program.guard {
        let fail = |reason: &str| Err(Invalid::new("guard", format!("value {} {reason}", guard.0)));
        if !state.is_defined(guard) {
            return fail("is never computed");
        }
        if state.dead.get(guard.0) == Some(&true) {
            return fail("is freed before the end");
        }
        let is_whole = program.values.get(guard.0).is_some_and(|value| value.scale == 0);
        if !is_whole || elements.get(guard.0) != Some(&runs) {
            return fail("is not one whole number for each run");
        }
    }
    Ok(Checked::new(program, rings, elements))
}

/// One step, whose values are declared and defined, by the rules of its operation; the ring of its
/// result is noted.
fn operation(
    program: &Program,
    weights: &[WeightTensor<'_>],
    rings: &mut [u32],
    step: &Step,
) -> Result<(), String> {
    let tensor = |id: ValueId, ring: Option<&u32>| match (program.values.get(id.0), ring) {
        (Some(value), Some(&ring)) => Ok(tensor_of(value, ring)),
        _ => Err(format!("value {} is not declared", id.0)),
    };
    let inputs = step.inputs.iter().map(|&id| tensor(id, rings.get(id.0))).collect::<Result<Vec<_>, _>>()?;
    let operands: Vec<u32> = inputs.iter().map(|x| x.ring).collect();
    let rules = step.operation.rules();
    let ring = rules
        .ring(&operands, program.ring_of(step.output))
        .ok_or_else(|| "its shift leaves nothing of its operands' ring".to_string())?;
    let out = tensor(step.output, Some(&ring))?;
    rules.check(&Site { inputs: &inputs, out, weights }).map_err(|misfit| misfit.to_string())?;
    if let Some(slot) = rings.get_mut(step.output.0) {
        if out.wide && ring != *slot {
            return Err(format!("its result is in a ring of {ring} bits, and {slot} are declared"));
        }
        *slot = ring;
    }
    Ok(())
}

/// The rings that values are declared to be in: all but the narrow ones, whose rings follow.
fn rings(program: &Program) -> Result<Vec<u32>, Invalid> {
    for (index, value) in program.values.iter().enumerate() {
        let Some(ring) = value.ring else { continue };
        let fail = |reason: String| Err(Invalid::new(format!("value {index} ({})", value.name), reason));
        if !value.wide {
            return fail("is narrow, and the ring of such a value follows from its step".into());
        }
        if !(SMALLEST_RING..program.ring_bits).contains(&ring) {
            let largest = program.ring_bits;
            return fail(format!(
                "a ring of its own has {SMALLEST_RING} bits and fewer than {largest}, not {ring}"
            ));
        }
    }
    Ok((0..program.values.len()).map(|value| program.ring_of(ValueId(value))).collect())
}

/// What the rules of an operation see of a value.
fn tensor_of(value: &Value, ring: u32) -> Tensor<'_> {
    Tensor { shape: &value.shape, scale: value.scale, bounds: value.bounds(), wide: value.wide, ring }
}

fn header(program: &Program) -> Result<(), Invalid> {
    let fail = |reason: String| Err(Invalid::new("program", reason));
    let version = program.version;
    if !(OLDEST..=VERSION).contains(&version) {
        return fail(format!("version {version} is not among those understood here, {OLDEST} to {VERSION}"));
    }
    let due = program.due_version();
    if version != due {
        return fail(format!("what it says makes it one of version {due}, and {version} is declared"));
    }
    if !(SMALLEST_RING..=64).contains(&program.ring_bits) {
        return fail(format!("a ring of {} bits is outside of {SMALLEST_RING} to 64", program.ring_bits));
    }
    if program.scale >= program.ring_bits {
        return fail(format!("{} fractional bits do not fit {} bits", program.scale, program.ring_bits));
    }
    if program.outputs.is_empty() {
        return fail("has no outputs".into());
    }
    Ok(())
}

/// Elements of every value.
fn tensors(program: &Program) -> Result<Vec<usize>, Invalid> {
    let values = program.values.iter().enumerate().map(|(i, v)| (i, "value", &v.name, &v.shape, v.scale));
    let weights = program.weights.iter().enumerate().map(|(i, w)| (i, "weight", &w.name, &w.shape, w.scale));
    let mut counts = Vec::with_capacity(program.values.len() + program.weights.len());
    for (index, kind, name, shape, scale) in values.chain(weights) {
        let place = || format!("{kind} {index} ({name})");
        counts.push(elements(shape).map_err(|e| Invalid::new(place(), e.to_string()))?);
        if scale > 64 {
            return Err(Invalid::new(place(), format!("{scale} fractional bits are more than 64")));
        }
    }
    for (index, value) in program.values.iter().enumerate() {
        if value.low > value.high {
            let reason = format!("its bounds {} and {} are in the wrong order", value.low, value.high);
            return Err(Invalid::new(format!("value {index} ({})", value.name), reason));
        }
    }
    counts.truncate(program.values.len());
    Ok(counts)
}

fn inputs(program: &Program, state: &mut State) -> Result<(), Invalid> {
    for (index, input) in program.inputs.iter().enumerate() {
        let fail = |reason: String| Err(Invalid::new(format!("input {}", input.name), reason));
        if input.value != ValueId(index) {
            return fail(format!("holds value {}, but inputs are values 0, 1, … in order", input.value.0));
        }
        let Some(value) = program.values.get(index) else {
            return fail("has no value".into());
        };
        if value.shape.contains(&0) {
            return fail(format!("the shape {:?} has no elements", value.shape));
        }
        if !value.wide {
            return fail("is not wide".into());
        }
        if value.ring.is_some() {
            return fail("has a ring of its own: an input is in the largest one".into());
        }
        if let Err(misfit) = tensor_of(value, program.ring_bits).fits(program.ring_bits) {
            return fail(misfit.to_string());
        }
        if !(input.low.is_finite() && input.high.is_finite() && input.low <= input.high) {
            return fail(format!("the range {} to {} is not one of real numbers", input.low, input.high));
        }
        let p = &input.preprocessing;
        if p.mean.iter().chain(&p.std).chain(&p.divide).any(|v| !v.is_finite())
            || p.std.iter().chain(&p.divide).any(|&v| v == 0.0)
        {
            return fail("its preprocessing has a number that is infinite, or divides by zero".into());
        }
        if let Some(classes) = input.classes {
            if value.shape.last() != Some(&classes) {
                return fail(format!("has rows of {classes} for its ids, and the shape {:?}", value.shape));
            }
            if (value.scale, value.low, value.high) != (0, 0, 1) {
                return fail("has ids, and is not made of zeros and ones".into());
            }
            if !input.factors.is_empty() || input.low < 0.0 || input.high > (classes - 1) as f64 {
                return fail(format!("has other ids than 0 to {}", classes - 1));
            }
        }
        if let Some(slot) = state.defined.get_mut(index) {
            *slot = true;
        }
    }
    Ok(())
}

struct State {
    defined: Vec<bool>,
    dead: Vec<bool>,
}

impl State {
    fn is_defined(&self, id: ValueId) -> bool {
        self.defined.get(id.0).copied().unwrap_or(false)
    }

    /// Follows the definition and the death of values through one step.
    fn step(&mut self, step: &Step, place: &dyn Fn() -> String) -> Result<(), Invalid> {
        let fail = |reason: String| Err(Invalid::new(place(), reason));
        for id in &step.inputs {
            if !self.is_defined(*id) {
                return fail(format!("uses value {} before it is computed", id.0));
            }
            if self.dead.get(id.0) == Some(&true) {
                return fail(format!("uses value {} after its last use", id.0));
            }
        }
        match self.defined.get_mut(step.output.0) {
            None => return fail(format!("computes value {}, which is not declared", step.output.0)),
            Some(true) => return fail(format!("computes value {} a second time", step.output.0)),
            Some(slot) => *slot = true,
        }
        let mut seen = HashSet::new();
        for id in &step.last_uses {
            if !(step.inputs.contains(id) || step.output == *id) || !seen.insert(*id) {
                return fail(format!("frees value {}, which is not its own or is freed twice", id.0));
            }
            if let Some(slot) = self.dead.get_mut(id.0) {
                *slot = true;
            }
        }
        Ok(())
    }
}
