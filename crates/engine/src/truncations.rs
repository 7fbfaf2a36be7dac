//! The steps of a program that shift bits out, as a protocol needs to know them to say whether it
//! can run the program.

use cryptflow_mpc::definition::Truncation;
use cryptflow_program::{Program, Step, Truncating};

/// The truncations of a program, in order.
pub fn truncations(program: &Program) -> Vec<Truncation<'_>> {
    program.steps.iter().filter_map(|step| truncation(program, step)).collect()
}

fn truncation<'a>(program: &Program, step: &'a Step) -> Option<Truncation<'a>> {
    let truncating = step.operation.truncating()?;
    let public = matches!(truncating, Truncating::ScalePublic(_));
    let value = program.values.get(step.output.0)?;
    Some(Truncation {
        step: &step.name,
        public,
        len: value.shape.iter().product::<usize>() as u64,
        largest: value.bounds().magnitude(),
        shift: truncating.shift(),
    })
}
