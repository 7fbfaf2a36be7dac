//! A trial: the program of one choice of scale and ring, run on examples and compared with the float model.

use cryptflow_program::OutputTransform;
use cryptflow_ring::Movement;

use cryptflow_graph::{Activation, Array, NodeId, Op, Order};

use super::plan::{Plan, PlanOp, PlanOutput};
use super::quantise::{Choice, Quantised, check, exp2, quantise};
use super::{FixError, FixedRunner, LoadedProgram};

/// Examples and what the float model says to them.
pub(crate) struct Examples {
    /// For each example, one value for each input.
    pub(crate) inputs: Vec<Vec<Array>>,
    /// For each example, each output of the plan in floats, as it is opened.
    pub(crate) outputs: Vec<Vec<Vec<f32>>>,
    /// For each output, the number of classes (the last axis), and whether it is a choice among classes at all.
    pub(crate) classes: Vec<Option<usize>>,
}

/// How far fixed point is from the float model, over all examples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Agreement {
    /// The largest error of an output.
    pub(crate) error: f64,
    /// The largest error that is allowed.
    pub(crate) tolerance: f64,
    /// Rows of outputs that are choices among classes.
    pub(crate) rows: usize,
    /// Rows with another arg-max, the float model's ties not counted.
    pub(crate) flips: usize,
}

impl Agreement {
    /// Whether fixed point agrees.
    pub(crate) fn holds(&self) -> bool {
        self.flips == 0 && self.error <= self.tolerance
    }
}

/// A node, and the movements from its value to an opened one.
pub(crate) type Opened = (NodeId, Vec<Movement>);

/// For every output of the plan, the node whose value is opened, and the movements from there to the opened value.
pub(crate) fn opened(plan: &Plan) -> Vec<Option<Opened>> {
    let origin = |mut value: usize| {
        let mut movements = Vec::new();
        loop {
            if let Some(node) = plan.values[value].node {
                movements.reverse();
                return Some((node, movements));
            }
            let step = plan.steps.iter().find(|s| s.output == value)?;
            let PlanOp::Movement(movement) = &step.op else {
                return None;
            };
            movements.push(movement.clone());
            value = *step.inputs.first()?;
        }
    };
    plan.outputs.iter().map(|o| origin(o.value)).collect()
}

impl Examples {
    /// Half the way from the best class to the second, row by row, of the float model's outputs that are choices.
    fn margins(&self) -> Vec<f64> {
        let mut margins = Vec::new();
        for outputs in &self.outputs {
            for (output, classes) in outputs.iter().zip(&self.classes) {
                let rows = classes.map(|n| output.chunks_exact(n.max(1)));
                margins.extend(rows.into_iter().flatten().map(margin));
            }
        }
        margins
    }

    /// The largest error that is allowed: a 64th of the median margin between the best and the second class; for outputs that are
    /// no choice among classes, a 256th of the largest output.
    pub(crate) fn tolerance(&self) -> f64 {
        let largest = self.outputs.iter().flatten().flatten().fold(0.0f64, |m, &v| m.max(f64::from(v).abs()));
        let floor = largest / 65536.0;
        let mut margins = self.margins();
        margins.sort_by(f64::total_cmp);
        match margins.get(margins.len() / 2) {
            Some(median) => (median / 64.0).max(floor),
            None => largest / 256.0,
        }
    }

    /// What outputs say where the parties compute what a client would have applied to those of `open`.
    pub(crate) fn answered(&self, open: &Plan) -> Result<Examples, FixError> {
        let answer = |(output, opened): (&PlanOutput, &Vec<f32>)| {
            let op = match output.transform {
                None | Some(OutputTransform::Class { .. }) => return Ok(opened.clone()),
                Some(OutputTransform::Softmax) => Op::Activation(Activation::Softmax),
                Some(OutputTransform::ArgMax) => {
                    Op::Order(Order::ArgMax { axis: open.values[output.value].shape.len().saturating_sub(1) })
                }
                Some(OutputTransform::TopK { axis, k, largest, indices }) => {
                    Op::Order(Order::TopK { axis, k, largest, indices })
                }
            };
            let array = Array::new(open.values[output.value].shape.clone(), opened.clone());
            let answer = array.and_then(|array| op.evaluate(&[&array]));
            Ok(answer.map_err(|e| FixError::Internal(e.to_string()))?.data.to_vec())
        };
        let all = |outputs: &Vec<Vec<f32>>| open.outputs.iter().zip(outputs).map(answer).collect();
        // Indices are right or wrong, and no choice among classes any more.
        let chosen = |(classes, output): (&Option<usize>, &PlanOutput)| {
            classes.filter(|_| matches!(output.transform, None | Some(OutputTransform::Softmax)))
        };
        Ok(Examples {
            inputs: self.inputs.clone(),
            outputs: self.outputs.iter().map(all).collect::<Result<_, _>>()?,
            classes: self.classes.iter().zip(&open.outputs).map(chosen).collect(),
        })
    }

    /// The examples with the thinnest margins, at most so many.
    pub(crate) fn hardest(&self, most: usize) -> Vec<usize> {
        let thinnest = |outputs: &Vec<Vec<f32>>| {
            let rows =
                outputs.iter().zip(&self.classes).filter_map(|(o, n)| n.map(|n| o.chunks_exact(n.max(1))));
            rows.flatten().map(margin).fold(f64::INFINITY, f64::min)
        };
        let mut order: Vec<(usize, f64)> = self.outputs.iter().map(thinnest).enumerate().collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        order.into_iter().take(most).map(|(index, _)| index).collect()
    }
}

/// The distance between the largest and the second largest number.
fn margin(row: &[f32]) -> f64 {
    let (mut first, mut second) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for v in row.iter().map(|&v| f64::from(v)) {
        if v > first {
            (first, second) = (v, first);
        } else if v > second {
            second = v;
        }
    }
    first - second
}

fn arg_max(row: &[f64]) -> Option<usize> {
    row.iter()
        .enumerate()
        .fold(None, |best: Option<(usize, f64)>, (i, &v)| match best {
            Some((_, most)) if most >= v => best,
            _ => Some((i, v)),
        })
        .map(|(i, _)| i)
}

/// Quantises the plan and runs it on the examples with these indices.
pub(crate) fn compare(
    plan: &Plan,
    choice: Choice,
    examples: &Examples,
    chosen: &[usize],
    tolerance: f64,
    runner: &dyn FixedRunner,
) -> Result<Agreement, FixError> {
    let quantised = quantise(plan, "trial", choice)?;
    check(&quantised.program)?;
    let mut agreement = Agreement { tolerance, ..Agreement::default() };
    let loaded = runner.load(&quantised.program, &quantised.weights).map_err(FixError::Run)?;
    for &index in chosen {
        let outputs = run(&quantised, loaded.as_ref(), &examples.inputs[index], &mut |_, _| ())?;
        add(&mut agreement, examples, index, &outputs, choice.scale);
        // The others will not make it agree.
        if !agreement.holds() {
            break;
        }
    }
    Ok(agreement)
}

/// Runs a quantised plan on one example.
pub(crate) fn run(
    quantised: &Quantised,
    loaded: &dyn LoadedProgram,
    example: &[Array],
    observe: &mut dyn FnMut(usize, &[i64]),
) -> Result<Vec<Vec<i64>>, FixError> {
    let unit = exp2(quantised.program.scale);
    let inputs: Vec<Vec<i64>> = example
        .iter()
        .map(|array| array.data.iter().map(|&v| (f64::from(v) * unit).round() as i64).collect())
        .collect();
    loaded.run(&inputs, &mut |id, data| observe(id.0, data)).map_err(FixError::Run)
}

/// Adds one example's outputs to what is known of the agreement.
pub(crate) fn add(
    agreement: &mut Agreement,
    examples: &Examples,
    index: usize,
    outputs: &[Vec<i64>],
    scale: u32,
) {
    let unit = exp2(scale);
    for ((float, fixed), classes) in examples.outputs[index].iter().zip(outputs).zip(&examples.classes) {
        let fixed: Vec<f64> = fixed.iter().map(|&v| v as f64 / unit).collect();
        let largest = float.iter().fold(0.0f64, |m, &v| m.max(f64::from(v).abs()));
        if float.len() != fixed.len() {
            agreement.error = f64::INFINITY;
        }
        for (&a, b) in float.iter().zip(&fixed) {
            agreement.error = agreement.error.max((f64::from(a) - b).abs());
        }
        let Some(classes) = *classes else { continue };
        for (float, fixed) in float.chunks_exact(classes.max(1)).zip(fixed.chunks_exact(classes.max(1))) {
            agreement.rows += 1;
            let reals: Vec<f64> = float.iter().map(|&v| v.into()).collect();
            let tie = margin(float) <= largest / 1024.0;
            if !tie && arg_max(&reals) != arg_max(fixed) {
                agreement.flips += 1;
            }
        }
    }
}
