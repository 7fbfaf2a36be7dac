//! What rounding does to a program's values, on examples that are all within what it was made for.

use std::collections::{HashMap, HashSet};

use cryptflow_graph::{Array, Graph, NodeId, Range, float};
use cryptflow_operation::Bounds;

use super::{Outside, Quantised, quantise, trial};

use crate::fix::FixError;
use crate::fix::bounded::gap::Magnitudes;
use crate::fix::chosen::Chosen;
use crate::fix::chosen::search::Touchstone;
use crate::fix::planned::lower::gaps::quotients;
use crate::fix::planned::plan::{Limits, PlanStep};
use crate::fix::planned::rounding::{Error, FARTHER, Rounding, compared, watched};
use crate::fix::runner::FixedRunner;
use crate::fix::units::exp2;

/// Examples on which errors are measured, at most.
const MEASURED: usize = 32;

/// Elements of a value that are looked at in an example, at most.
const LOOKS: usize = 1024;

/// Elements that must have been the same in two runs to be never rounded.
const SURELY: usize = 64;

/// The part of all errors that are no larger than the usual one.
const USUALLY: f64 = 0.9;

/// The part of them that are no larger than what counts as equal allows for, however few others there are: where
/// most elements are cut off, or multiplied with next to nothing, the usual error says little of the rest.
const ALMOST_ALWAYS: f64 = 0.999;

/// Runs a program on the touchstone's examples, twice on a few of them.
///
/// # Errors
/// Where the program cannot be run.
pub(crate) fn rounding(
    graph: &Graph,
    chosen: &Chosen,
    with: &Touchstone<'_>,
    runner: &dyn FixedRunner,
) -> Result<Rounding, FixError> {
    let plan = &chosen.plan;
    let assumes = |step: &&PlanStep| matches!(plan.values[step.output].limits, Limits::Assumed(_));
    let names: HashMap<usize, &str> =
        plan.steps.iter().filter(assumes).map(|step| (step.output, step.name.as_str())).collect();
    let watched = watched(graph);
    let by: HashSet<NodeId> = quotients(graph).iter().map(|quotient| quotient.by).collect();
    let compares = compared(graph).contains(&true);
    let mut rounding = Rounding { compares, scale: chosen.choice.scale, ..Rounding::default() };
    if names.is_empty() && !watched.contains(&true) {
        return Ok(rounding);
    }
    let Quantised { program, numbers, values } = quantise(chosen, "trial", &Outside::default())?;
    let loaded = runner.load(&program, &mut numbers.each())?;
    let looked_at = |value: usize| {
        let Some(&planned) = values.get(value) else { return false };
        let of_node = |node: NodeId| by.contains(&node) || watched[node.0];
        names.contains_key(&planned) || plan.values[planned].node.is_some_and(of_node)
    };
    let mut looks: HashMap<NodeId, Looks> = HashMap::new();
    for (turn, &index) in with.indices.iter().enumerate() {
        let example = &with.examples.inputs[index];
        let floats = match turn {
            0..MEASURED => floats(graph, &watched, index, example)?,
            _ => HashMap::new(),
        };
        let runs = if floats.is_empty() { 1 } else { 2 };
        let mut before: HashMap<usize, Vec<i64>> = HashMap::new();
        for _ in 0..runs {
            let mut observe = |value: usize, numbers: &[i64]| {
                let Some(&planned) = values.get(value) else { return };
                let declared = &program.values[value];
                let (seen, unit) = (Bounds::of(numbers.iter().copied()), exp2(declared.scale));
                if let Some(name) = names.get(&planned)
                    && (seen.low < declared.low || seen.high > declared.high)
                {
                    let range = Range { low: seen.low as f64 / unit, high: seen.high as f64 / unit };
                    let all = rounding.strays.entry(name.to_string()).or_insert(range);
                    *all = all.union(range);
                }
                let node = plan.values[planned].node;
                if let Some(by) = node.filter(|node| by.contains(node)) {
                    let real: Vec<f32> = numbers.iter().map(|&v| (v as f64 / unit) as f32).collect();
                    rounding.magnitudes.entry(by).or_insert_with(Magnitudes::plain).add(&real);
                }
                let float = node.and_then(|node| floats.get(&node)).filter(|f| f.data.len() == numbers.len());
                if let (Some(node), Some(float)) = (node, float) {
                    let looks = looks.entry(node).or_default();
                    looks.add(numbers, float, unit, before.get(&value).map(Vec::as_slice));
                    before.insert(value, some(numbers).collect());
                }
            };
            trial::run(&program, loaded.as_ref(), example, &looked_at, &mut observe)?;
        }
    }
    rounding.errors = looks.into_iter().map(|(node, looks)| (node, looks.error())).collect();
    // A client rounds what it gives, and the parties have the same of what is the same.
    for (index, &id) in graph.inputs.iter().enumerate() {
        let unit = program.values.get(index).map_or(1.0, |value| exp2(value.scale));
        rounding.errors.insert(id, Error::Always(0.5 / unit));
        if by.contains(&id) {
            let seen = rounding.magnitudes.entry(id).or_insert_with(Magnitudes::plain);
            let given = with.indices.iter().filter_map(|&example| with.examples.inputs[example].get(index));
            given.for_each(|array| seen.add(&array.data));
        }
    }
    Ok(rounding)
}

/// The float values of these nodes.
fn floats(
    graph: &Graph,
    watched: &[bool],
    index: usize,
    example: &[Array],
) -> Result<HashMap<NodeId, Array>, FixError> {
    let mut floats = HashMap::new();
    if watched.contains(&true) {
        float::run(graph, example, &mut |id, array| {
            if watched[id.0] {
                floats.insert(id, array.clone());
            }
        })
        .map_err(|error| FixError::Example { index, error: error.into() })?;
    }
    Ok(floats)
}

/// Some of a value's elements, from all over it.
fn some<T: Copy>(all: &[T]) -> impl Iterator<Item = T> {
    all.iter().copied().step_by(all.len().div_ceil(LOOKS).max(1))
}

/// What was seen of a value's elements.
#[derive(Default)]
struct Looks {
    /// How far those were off that were.
    off: Vec<f64>,
    /// How many were compared with those of another run, and how many were the same.
    compared: usize,
    same: usize,
    /// A unit.
    unit: f64,
}

impl Looks {
    fn add(&mut self, numbers: &[i64], float: &Array, unit: f64, before: Option<&[i64]>) {
        self.unit = 1.0 / unit;
        let off = some(numbers).zip(some(&float.data)).map(|(a, b)| (a as f64 / unit - f64::from(b)).abs());
        self.off.extend(off.filter(|&off| off > 0.0));
        if let Some(before) = before {
            self.compared += before.len();
            self.same += some(numbers).zip(before).filter(|(a, b)| a == *b).count();
        }
    }

    fn error(mut self) -> Error {
        self.off.sort_by(f64::total_cmp);
        let part = |part: f64| self.off.get((self.off.len() as f64 * part) as usize).copied().unwrap_or(0.0);
        let usual = part(USUALLY).max(part(ALMOST_ALWAYS) / FARTHER);
        match self.compared >= SURELY && self.same == self.compared {
            true => Error::Always(usual),
            false => Error::Usually(usual.max(self.unit / 2.0)),
        }
    }
}
