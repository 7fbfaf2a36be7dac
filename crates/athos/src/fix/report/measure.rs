//! The program beside the float model: how far each value is off.

use std::collections::HashMap;

use cryptflow_graph::{Array, Graph, NodeId, float};
use cryptflow_operation::Bounds;

use super::AgreementReport;
use crate::fix::FixError;
use crate::fix::bounded::Bounded;
use crate::fix::bounded::agreement::Agreement;
use crate::fix::bounded::examples::Examples;
use crate::fix::chosen::search::{Decision, MEASURED};
use crate::fix::planned::plan::Plan;
use crate::fix::quantised::{Quantised, trial};
use crate::fix::runner::FixedRunner;
use crate::fix::units::exp2;

/// What runs showed.
pub(super) struct Measured {
    /// For each value of the program.
    pub(super) differences: Vec<Difference>,
    /// How outputs compare; none without examples.
    pub(super) agreement: Option<AgreementReport>,
}

/// How far a value is off, over all its elements and examples.
#[derive(Clone, Copy, Default)]
pub(super) struct Difference {
    pub(super) squares: f64,
    pub(super) largest: f64,
    pub(super) count: u64,
    /// The smallest and largest integer that was seen.
    pub(super) seen: Option<Bounds>,
}

/// Runs the program beside the float model on the examples that the decision names; on none, if
/// there are none.
///
/// # Errors
/// Where one of them cannot be run.
pub(super) fn measure(
    bounded: &Bounded<'_>,
    decision: &Decision,
    quantised: &Quantised,
    runner: &dyn FixedRunner,
) -> Result<Measured, FixError> {
    let differences = vec![Difference::default(); quantised.program.values.len()];
    let mut measured = Measured { differences, agreement: None };
    let Some(examples) = &bounded.examples else { return Ok(measured) };
    let answered;
    let (examples, total) = match decision.agreement {
        Some(total) if !decision.hides_logits => {
            let few = decision.measured.get(..MEASURED).unwrap_or(&decision.measured);
            measured.run(bounded.graph, examples, few, decision, quantised, runner)?;
            (examples, total)
        }
        // What the parties make of logits was not judged yet.
        _ => {
            answered = examples.answered()?;
            let all = decision.measured.repeat(decision.draws);
            let total = measured.run(bounded.graph, &answered, &all, decision, quantised, runner)?;
            (&answered, total)
        }
    };
    let draws = (total.examples / decision.measured.len().max(1)).max(1);
    measured.agreement = Some(AgreementReport {
        rows: total.rows / draws,
        flips: total.flips.div_ceil(draws),
        largest_error: total.error,
        tolerance: total.tolerance,
        place: examples.place(&total),
        examples: decision.measured.len() * bounded.rows,
        draws,
    });
    Ok(measured)
}

impl Measured {
    fn run(
        &mut self,
        graph: &Graph,
        examples: &Examples,
        indices: &[usize],
        decision: &Decision,
        quantised: &Quantised,
        runner: &dyn FixedRunner,
    ) -> Result<Agreement, FixError> {
        let (program, plan) = (&quantised.program, &decision.chosen.plan);
        let mut total = Agreement::default();
        let loaded = runner.load(program, &mut quantised.numbers.each())?;
        for (turn, &index) in indices.iter().enumerate() {
            let floats = match turn {
                0..MEASURED => floats(graph, plan, quantised, &examples.inputs[index])?,
                _ => HashMap::new(),
            };
            let mut observe = |value: usize, data: &[i64]| {
                let (Some(difference), Some(&planned)) =
                    (self.differences.get_mut(value), quantised.values.get(value))
                else {
                    return;
                };
                let float = plan.values[planned].node.and_then(|node| floats.get(&node));
                let unit = program.values.get(value).map_or(1.0, |v| exp2(v.scale));
                difference.add(data, float.map(|a| a.data.as_slice()), unit);
            };
            let outputs =
                trial::run(program, loaded.as_ref(), &examples.inputs[index], &|_| true, &mut observe)?;
            examples.add_to(&mut total, index, &outputs, program);
        }
        Ok(total)
    }
}

/// The float values of every node that a value of the program stands for.
fn floats(
    graph: &Graph,
    plan: &Plan,
    quantised: &Quantised,
    example: &[Array],
) -> Result<HashMap<NodeId, Array>, FixError> {
    let mut wanted: HashMap<NodeId, Option<Array>> =
        quantised.values.iter().filter_map(|&v| plan.values[v].node).map(|node| (node, None)).collect();
    float::run(graph, example, &mut |id, array| {
        if let Some(slot) = wanted.get_mut(&id) {
            *slot = Some(array.clone());
        }
    })
    .map_err(FixError::Float)?;
    Ok(wanted.into_iter().filter_map(|(id, array)| Some((id, array?))).collect())
}

impl Difference {
    fn add(&mut self, fixed: &[i64], float: Option<&[f32]>, unit: f64) {
        if !fixed.is_empty() {
            let now = Bounds::of(fixed.iter().copied());
            self.seen = Some(self.seen.map_or(now, |seen| Bounds::hull(&[seen, now])));
        }
        let Some(float) = float.filter(|f| f.len() == fixed.len()) else { return };
        for (&a, &b) in fixed.iter().zip(float) {
            let d = (a as f64 / unit - f64::from(b)).abs();
            self.squares += d * d;
            self.largest = self.largest.max(d);
        }
        self.count += fixed.len() as u64;
    }
}
