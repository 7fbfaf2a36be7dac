//! What a program will cost: a dry run over layouts, without a value, a weight or a link.

use cryptflow_mpc::{Cost, CostModel, Layout};
use cryptflow_program::{Activation, Operation, Program, Step};
use cryptflow_ring::LinearMap;

use crate::error::EngineError;
use crate::execute::malformed;

/// What a program costs in a protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Of each step, in order.
    pub steps: Vec<Cost>,
    /// Of all steps. Exact in bytes; its rounds are those of the steps one after another, which is what the
    /// engine does.
    pub total: Cost,
}

/// The cost of every step of a program, in one protocol's formulas. What keys, inputs and outputs cost is not in it.
///
/// # Errors
/// A step that refers to something that is not there.
pub fn estimate(program: &Program, model: &dyn CostModel) -> Result<Estimate, EngineError> {
    let mut layouts: Vec<Option<Layout>> = vec![None; program.values.len()];
    for input in &program.inputs {
        let missing = || EngineError::Output { name: input.name.clone() };
        let len = program.values.get(input.value.0).and_then(|v| elements(&v.shape)).ok_or_else(missing)?;
        *layouts.get_mut(input.value.0).ok_or_else(missing)? = Some(model.wide(len, program.ring_bits));
    }
    let mut steps = Vec::with_capacity(program.steps.len());
    for (index, step) in program.steps.iter().enumerate() {
        let (cost, layout) = step_cost(program, step, &layouts, model)
            .map_err(|reason| malformed(program, index, step, reason))?;
        let Some(slot) = layouts.get_mut(step.output.0) else {
            return Err(malformed(program, index, step, format!("there is no value {}", step.output.0)));
        };
        *slot = Some(layout);
        steps.push(cost);
    }
    let total = steps.iter().sum();
    Ok(Estimate { steps, total })
}

fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

fn step_cost(
    program: &Program,
    step: &Step,
    layouts: &[Option<Layout>],
    model: &dyn CostModel,
) -> Result<(Cost, Layout), String> {
    let ring = program.ring_bits;
    let layout = |input: usize| {
        let id = step.inputs.get(input).ok_or_else(|| format!("it has no input {input}"))?;
        layouts.get(id.0).copied().flatten().ok_or_else(|| format!("value {} was not computed yet", id.0))
    };
    Ok(match &step.operation {
        Operation::Linear { terms, shift, .. } => {
            let maps: Vec<&LinearMap> = terms.iter().map(|t| &t.map).collect();
            let output = program.values.get(step.output.0).and_then(|v| elements(&v.shape));
            let len = output.ok_or_else(|| format!("value {} has no shape", step.output.0))?;
            let bits = if maps.is_empty() { ring } else { layout(0)?.bits };
            model.linear(&maps, Layout { len, bits }, *shift)
        }
        Operation::Product { map, shift } => model.product(map, layout(0)?, layout(1)?, *shift),
        Operation::Compare { thresholds, compare_bits } => {
            model.compare(layout(0)?, thresholds.len(), *compare_bits, ring)
        }
        Operation::Combine { factors, offsets } => model.combine(layout(0)?, factors.len(), offsets.len()),
        Operation::Widen => model.widen(layout(0)?, ring),
        Operation::Activation { function, compare_bits, widen } => {
            let widen_to = widen.then_some(ring);
            match function {
                Activation::Relu => model.relu(layout(0)?, *compare_bits, widen_to),
                Activation::ClippedRelu { .. } => model.clipped_relu(layout(0)?, *compare_bits, widen_to),
            }
        }
        Operation::MaxPool { input, window, compare_bits } => {
            model.max_pool(layout(0)?, *input, window, *compare_bits)
        }
        Operation::SumPool { input, window } => model.sum_pool(layout(0)?, *input, window),
        Operation::ScalePublic { shift, .. } => model.scale_public(layout(0)?, *shift),
        Operation::Add | Operation::Sub => model.add(layout(0)?, layout(1)?),
        Operation::Movement(movement) => {
            let inputs = (0..step.inputs.len()).map(layout).collect::<Result<Vec<_>, _>>()?;
            let value = program.values.get(step.output.0);
            let len = value
                .and_then(|v| elements(&v.shape))
                .ok_or_else(|| format!("there is no value {}", step.output.0))?;
            model.movement(movement, &inputs, len)
        }
    })
}
