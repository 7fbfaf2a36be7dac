//! Whether a program is one that a party can run: checked when it is compiled, and again when it is read.

mod operation;

use std::collections::HashSet;

use cryptflow_ring::movement::elements;

use crate::bounds;
use crate::program::{Program, Step, VERSION, Value, ValueId};

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

/// Checks that every id is in range, every value is defined once, before it is used, and not used after its last use;
/// that shapes, scales and rings of every step go together; and that bounds fit the rings (see [`bounds`]).
///
/// # Errors
/// The first thing that is wrong.
pub fn validate(program: &Program) -> Result<(), Invalid> {
    header(program)?;
    tensors(program)?;
    let mut state =
        State { defined: vec![false; program.values.len()], dead: vec![false; program.values.len()] };
    inputs(program, &mut state)?;
    let rings = bounds::rings(program);
    for (index, step) in program.steps.iter().enumerate() {
        let place = || format!("step {index} ({})", step.name);
        state.step(step, &place)?;
        operation::check(program, &rings, step).map_err(|reason| Invalid::new(place(), reason))?;
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
    Ok(())
}

fn header(program: &Program) -> Result<(), Invalid> {
    let fail = |reason: String| Err(Invalid::new("program", reason));
    if program.version != VERSION {
        return fail(format!(
            "version {} is not {VERSION}, the one that is understood here",
            program.version
        ));
    }
    if !(8..=64).contains(&program.ring_bits) {
        return fail(format!("a ring of {} bits is outside of 8 to 64", program.ring_bits));
    }
    if program.scale >= program.ring_bits {
        return fail(format!("{} fractional bits do not fit {} bits", program.scale, program.ring_bits));
    }
    if program.outputs.is_empty() {
        return fail("has no outputs".into());
    }
    Ok(())
}

fn tensors(program: &Program) -> Result<(), Invalid> {
    let values = program.values.iter().enumerate().map(|(i, v)| (i, "value", &v.name, &v.shape, v.scale));
    let weights = program.weights.iter().enumerate().map(|(i, w)| (i, "weight", &w.name, &w.shape, w.scale));
    for (index, kind, name, shape, scale) in values.chain(weights) {
        let place = || format!("{kind} {index} ({name})");
        elements(shape).map_err(|e| Invalid::new(place(), e.to_string()))?;
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
    Ok(())
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
        if let Some(reason) = misfit(value, program.ring_bits) {
            return fail(reason);
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
        if let Some(slot) = state.defined.get_mut(index) {
            *slot = true;
        }
    }
    Ok(())
}

/// Why a value's bounds do not fit a ring of so many bits, if they do not.
fn misfit(value: &Value, ring: u32) -> Option<String> {
    let needed = bounds::ring_bits(value.low, value.high);
    (needed > ring).then(|| {
        format!("values from {} to {} need {needed} bits, and there are {ring}", value.low, value.high)
    })
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
