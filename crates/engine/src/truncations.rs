//! The steps of a program that shift bits out, as a protocol needs to know them to say whether it
//! can run the program.

use cryptflow_mpc::definition::Truncation;
use cryptflow_program::{Operation, Program, Step};

/// The truncations of a program, in order.
pub fn truncations(program: &Program) -> Vec<Truncation<'_>> {
    program.steps.iter().filter_map(|step| truncation(program, step)).collect()
}

fn truncation<'a>(program: &Program, step: &'a Step) -> Option<Truncation<'a>> {
    let (public, shift) = match &step.operation {
        Operation::Linear(linear) => (false, linear.shift),
        Operation::Product(product) => (false, product.shift),
        Operation::ScalePublic(scale) => (true, scale.shift),
        Operation::Compare(_)
        | Operation::Combine(_)
        | Operation::Widen
        | Operation::Activation(_)
        | Operation::MaxPool(_)
        | Operation::SumPool(_)
        | Operation::Add
        | Operation::Sub
        | Operation::Movement(_) => return None,
    };
    let value = program.values.get(step.output.0)?;
    Some(Truncation {
        step: &step.name,
        public,
        len: value.shape.iter().product::<usize>() as u64,
        largest: value.low.unsigned_abs().max(value.high.unsigned_abs()),
        shift,
    })
}
