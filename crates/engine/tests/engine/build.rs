//! Programs that are built by hand.

use cryptflow_program::{Checked, Input, Operation, Output, Program, Step, Value, ValueId, Weight, validate};

/// Fractional bits of values and of weights.
pub(crate) const SCALE: u32 = 8;

/// A program of `steps`: each an operation, its inputs and the shape of its result. Value 0 is the
/// input, value i + 1 is the result of step i; the last one is the output. Values are dropped as
/// early as possible.
pub(crate) fn program(
    ring_bits: u32,
    input: &[usize],
    weights: &[&[usize]],
    steps: &[(Operation, &[usize], &[usize])],
) -> Checked {
    let value = |name: String, shape: &[usize]| Value {
        name,
        shape: shape.to_vec(),
        scale: SCALE,
        low: -1 << 20,
        high: 1 << 20,
        wide: true,
        ring: None,
    };
    let mut values = vec![value("x".into(), input)];
    let mut built: Vec<Step> = Vec::new();
    for (i, (operation, inputs, shape)) in steps.iter().enumerate() {
        let wide = is_wide(operation, inputs.iter().all(|&i| values[i].wide));
        values.push(Value { wide, ..value(format!("node{i}"), shape) });
        built.push(Step {
            name: format!("node{i}"),
            operation: operation.clone(),
            inputs: inputs.iter().map(|&i| ValueId(i)).collect(),
            output: ValueId(i + 1),
            last_uses: vec![],
        });
    }
    for id in 0..steps.len() {
        if let Some(step) = built.iter_mut().rev().find(|s| s.inputs.contains(&ValueId(id))) {
            step.last_uses.push(ValueId(id));
        }
    }
    let program = Program {
        version: 1,
        name: "by hand".into(),
        ring_bits,
        scale: SCALE,
        batch: Default::default(),
        bits_per_round: None,
        inputs: vec![Input {
            name: "x".into(),
            value: ValueId(0),
            low: -100.0,
            high: 100.0,
            preprocessing: Default::default(),
            factors: Vec::new(),
            classes: None,
        }],
        outputs: vec![Output {
            name: "y".into(),
            value: ValueId(steps.len()),
            transform: None,
            digits: None,
            equal: 0,
            classes: None,
        }],
        guard: None,
        values,
        weights: weights
            .iter()
            .enumerate()
            // A bias is at the scale of products.
            .map(|(i, shape)| Weight {
                name: format!("w{i}"),
                shape: shape.to_vec(),
                scale: if shape.len() == 1 { 2 * SCALE } else { SCALE },
            })
            .collect(),
        steps: built,
    };
    validate(program).unwrap()
}

/// Whether the result of an operation is wide.
fn is_wide(operation: &Operation, operands_are: bool) -> bool {
    match operation {
        Operation::Linear(_) | Operation::ScalePublic(_) => false,
        Operation::Activation(activation) => activation.widen || operands_are,
        Operation::Widen => true,
        _ => operands_are,
    }
}
