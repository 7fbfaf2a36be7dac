//! The inputs of a program, as a protocol needs to know them to hold them to their bounds.

use cryptflow_mpc::{Cost, CostModel};
use cryptflow_program::{Bounds, Checked};

use crate::error::EngineError;
use crate::estimate;

/// The length and the bounds of each input, in the program's order.
pub fn input_bounds(program: &Checked) -> Vec<(usize, Bounds)> {
    let of = |input: &cryptflow_program::Input| {
        let bounds = program.values.get(input.value.0).map_or(Bounds::ZERO, |value| value.bounds());
        (program.elements(input.value), bounds)
    };
    program.inputs.iter().map(of).collect()
}

/// What it costs parties to find out whether all inputs of a run are within their bounds. Where steps run beside each other, the check
/// runs beside them ([`crate::execute_checked`]), and its rounds are those by which it is longer than the program.
///
/// # Errors
/// See [`estimate`].
pub fn input_check(program: &Checked, model: &dyn CostModel) -> Result<Cost, EngineError> {
    let mut cost = model.input_check(&input_bounds(program), program.ring_bits);
    if model.beside() {
        cost.rounds = cost.rounds.saturating_sub(estimate(program, model)?.total.rounds);
    }
    Ok(cost)
}

/// What it costs evaluators to take all inputs of a run that was dealt ahead: to mask them anew.
pub fn masked_anew(program: &Checked, model: &dyn CostModel) -> Cost {
    let inputs = input_bounds(program).into_iter();
    let costs: Vec<Cost> = inputs.map(|(len, _)| model.input_ahead(len, program.ring_bits)).collect();
    costs.iter().sum()
}
