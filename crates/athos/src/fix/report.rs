//! The compiler's report: layer by layer, what values need, what they have, and how far fixed point is from the float model.

use std::collections::{HashMap, HashSet};

use cryptflow_program::{Operation, Program, bounds, liveness};
use serde::{Deserialize, Serialize};

use cryptflow_graph::float;
use cryptflow_graph::{Array, Graph, NodeId};

pub use super::plan::FunctionReport;

use super::plan::Plan;
use super::quantise::{Quantised, exp2};
use super::trial::{Agreement, Examples, add, run};
use super::{FixError, FixedRunner};

/// Bits of margin below which a layer is worth a warning.
const THIN: f64 = 0.5;
/// Such layers that a warning names, at most.
const THIN_NAMED: usize = 5;

/// What the compiler decided and measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompileReport {
    /// Fractional bits of activations, and why so many.
    pub scale: u32,
    /// Why.
    pub scale_reason: String,
    /// K: bits of the large ring.
    pub ring_bits: u32,
    /// Why.
    pub ring_reason: String,
    /// Bits by which bounds exceed what was seen (0 for worst-case bounds).
    pub margin_bits: f64,
    /// Examples that the bounds come from; 0 for worst-case bounds.
    pub examples: usize,
    /// Elements of all weights.
    pub parameters: u64,
    /// Multiply-accumulate operations of one run.
    pub macs: u64,
    /// Elements that are alive at one time, at most.
    pub peak_elements: u64,
    /// How fixed point compares with the float model, over the examples of the last run.
    pub agreement: Option<AgreementReport>,
    /// The programs that the search tried, in that order.
    pub trials: Vec<TrialReport>,
    /// The functions that polynomials stand for.
    pub functions: Vec<FunctionReport>,
    /// The layers, in the order in which they run.
    pub layers: Vec<LayerReport>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A program that the search ran beside the float model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrialReport {
    /// Its fractional bits.
    pub scale: u32,
    /// Bits of its ring.
    pub ring_bits: u32,
    /// Whether it agrees with the float model.
    pub agrees: bool,
    /// The largest error of an output.
    pub largest_error: f64,
    /// The error that is allowed.
    pub tolerance: f64,
    /// Rows with another arg-max.
    pub flips: usize,
    /// Rows that were compared.
    pub rows: usize,
    /// Why it did not run.
    pub problem: Option<String>,
}

/// How the outputs of the fixed-point run compare with the float model's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgreementReport {
    /// Rows that were compared.
    pub rows: usize,
    /// Rows with another arg-max.
    pub flips: usize,
    /// The largest error of an output.
    pub largest_error: f64,
    /// The error that the search for a scale allows.
    pub tolerance: f64,
}

/// One layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// The node of the source model.
    pub name: String,
    /// The operation.
    pub operation: String,
    /// Shape of the result.
    pub shape: Vec<usize>,
    /// The largest magnitude of the result, in real numbers: seen in the examples, or possible.
    pub largest: f64,
    /// Signed bits that this takes at the program's scale.
    pub bits_needed: u32,
    /// Signed bits that there are: those of the comparison that follows, or of the ring.
    pub bits_there: u32,
    /// By how many bits the largest value may grow before something fails. None where a value stays within its bounds as long as those
    /// that it is computed of do: then it is their margin that counts.
    pub margin: Option<f64>,
    /// Fractional bits of the layer's weights.
    pub weight_scale: Option<u32>,
    /// Signed bits that its largest weight takes.
    #[serde(default)]
    pub weight_bits: Option<u32>,
    /// Root mean square of the difference from the float model, where it was measured.
    pub rms_error: Option<f64>,
    /// The largest difference from the float model, where it was measured.
    pub max_error: Option<f64>,
}

#[derive(Clone, Copy, Default)]
struct Difference {
    squares: f64,
    largest: f64,
    count: u64,
    /// The smallest and largest integer that was seen.
    seen: Option<(i64, i64)>,
}

/// Runs the program on these examples beside the float model, and reports on every layer.
pub(crate) fn measure(
    graph: &Graph,
    plan: &Plan,
    quantised: &Quantised,
    examples: Option<(&Examples, &[usize])>,
    tolerance: f64,
    runner: &dyn FixedRunner,
) -> Result<CompileReport, FixError> {
    let program = &quantised.program;
    let mut differences = vec![Difference::default(); program.values.len()];
    let mut agreement = None;
    if let Some((examples, chosen)) = examples {
        let mut total = Agreement { tolerance, ..Agreement::default() };
        let loaded = runner.load(program, &quantised.weights).map_err(FixError::Run)?;
        for &index in chosen {
            let floats = floats(graph, plan, quantised, &examples.inputs[index])?;
            let outputs = run(quantised, loaded.as_ref(), &examples.inputs[index], &mut |value, data| {
                let (Some(difference), Some(&planned)) =
                    (differences.get_mut(value), quantised.values.get(value))
                else {
                    return;
                };
                let float = plan.values[planned].node.and_then(|node| floats.get(&node));
                let unit = program.values.get(value).map_or(1.0, |v| exp2(v.scale));
                difference.add(data, float.map(|a| a.data.as_slice()), unit);
            })?;
            add(&mut total, examples, index, &outputs, program.scale);
        }
        agreement = Some(AgreementReport {
            rows: total.rows,
            flips: total.flips,
            largest_error: total.error,
            tolerance: total.tolerance,
        });
    }
    let mut report = CompileReport {
        scale: program.scale,
        ring_bits: program.ring_bits,
        parameters: program.weights.iter().map(|w| w.shape.iter().product::<usize>() as u64).sum(),
        macs: plan.macs(),
        peak_elements: liveness::peak_elements(program),
        agreement,
        functions: plan.functions.clone(),
        ..CompileReport::default()
    };
    layers(plan, quantised, &differences, &mut report);
    if examples.is_some() {
        report.warnings.extend(thin(&report));
    }
    Ok(report)
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
    .map_err(|e| FixError::Run(e.to_string()))?;
    Ok(wanted.into_iter().filter_map(|(id, array)| Some((id, array?))).collect())
}

impl Difference {
    fn add(&mut self, fixed: &[i64], float: Option<&[f32]>, unit: f64) {
        for &v in fixed {
            let (low, high) = self.seen.unwrap_or((v, v));
            self.seen = Some((low.min(v), high.max(v)));
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

fn layers(plan: &Plan, quantised: &Quantised, differences: &[Difference], report: &mut CompileReport) {
    let program = &quantised.program;
    let there = bits_there(program);
    let follows = follows(plan, quantised);
    for step in &program.steps {
        let id = step.output.0;
        let (value, difference) = (&program.values[id], &differences[id]);
        let unit = exp2(value.scale);
        let (lowest, highest) = difference.seen.unwrap_or((value.low, value.low));
        if lowest < value.low || highest > value.high {
            report.warnings.push(format!(
                "{}: fixed point takes values from {} to {} where {} to {} was planned; give more calibration data or a larger \
                 --margin",
                step.name, lowest, highest, value.low, value.high
            ));
        }
        if matches!(step.operation, Operation::Widen | Operation::Movement(_)) {
            continue;
        }
        let range = plan.values[quantised.values[id]].range;
        let seen = difference.seen.map_or(0, |(low, high)| low.unsigned_abs().max(high.unsigned_abs()))
            as f64
            / unit;
        let largest = range.magnitude().max(seen);
        let units = (largest * unit).ceil().min(9e18) as i64;
        let limit = exp2(there[id].saturating_sub(1));
        let margin = if units > 0 { (limit / units as f64).log2() } else { f64::from(there[id]) };
        let margin = (!follows[id]).then_some(margin);
        let weight = match &step.operation {
            Operation::Linear { terms, .. } => terms.first().map(|t| t.weight.0),
            _ => None,
        };
        let weight_scale = weight.and_then(|w| program.weights.get(w)).map(|w| w.scale);
        let weight_bits = weight.and_then(|w| quantised.weights.get(w)).map(|data| {
            let (low, high) = data.iter().fold((0, 0), |(low, high), &v| (v.min(low), v.max(high)));
            bounds::ring_bits(low, high)
        });
        let measured = difference.count > 0;
        report.layers.push(LayerReport {
            name: step.name.clone(),
            operation: step.operation.name().to_string(),
            shape: value.shape.clone(),
            largest,
            bits_needed: bounds::ring_bits(-units, units),
            bits_there: there[id],
            margin,
            weight_scale,
            weight_bits,
            rms_error: measured.then(|| (difference.squares / difference.count as f64).sqrt()),
            max_error: measured.then_some(difference.largest),
        });
    }
}

/// For each value, whether its bounds follow from those of what it is computed of, not from what was seen of it.
fn follows(plan: &Plan, quantised: &Quantised) -> Vec<bool> {
    let exact = |&planned: &usize| plan.values[planned].exact.is_some();
    let mut follows: Vec<bool> = quantised.values.iter().map(exact).collect();
    for step in &quantised.program.steps {
        let passed = matches!(
            step.operation,
            Operation::Widen
                | Operation::Movement(_)
                | Operation::MaxPool { .. }
                | Operation::Activation { .. }
        );
        follows[step.output.0] |= matches!(step.operation, Operation::Compare { .. })
            || passed && step.inputs.iter().all(|input| follows[input.0]);
    }
    follows
}

/// What is to be said of layers whose margins are thin.
fn thin(report: &CompileReport) -> Option<String> {
    let thinnest = report.thinnest();
    let count = thinnest.iter().take_while(|(_, margin)| *margin < THIN).count();
    let named: Vec<String> = thinnest[..count.min(THIN_NAMED)]
        .iter()
        .map(|(name, margin)| format!("{name} {margin:.2}"))
        .chain((count > THIN_NAMED).then(|| "…".to_string()))
        .collect();
    (count > 0).then(|| {
        format!(
            "{count} layer{} less than {THIN} bits of margin: {}; values of other inputs may exceed their bounds (--margin)",
            if count == 1 { " has" } else { "s have" },
            named.join(", ")
        )
    })
}

impl CompileReport {
    /// The layers with their margins, in bits, the thinnest first; of those that take several steps the thinnest.
    pub fn thinnest(&self) -> Vec<(&str, f64)> {
        let margins = self.layers.iter().filter_map(|l| Some((l.name.as_str(), l.margin?)));
        let mut margins: Vec<(&str, f64)> = margins.collect();
        margins.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut named = HashSet::new();
        margins.retain(|(name, _)| named.insert(*name));
        margins
    }
}

/// For each value the bits within which everything that is done with it is exact: of its ring, or of a comparison.
fn bits_there(program: &Program) -> Vec<u32> {
    let mut there = bounds::rings(program);
    for step in &program.steps {
        let Some(slot) = step.inputs.first().and_then(|id| there.get_mut(id.0)) else {
            continue;
        };
        match &step.operation {
            Operation::Activation { compare_bits, .. } | Operation::Compare { compare_bits, .. } => {
                *slot = (*slot).min(*compare_bits)
            }
            // The difference of two elements takes one bit more than the elements, where they can be negative.
            Operation::MaxPool { compare_bits, .. } => {
                let signed =
                    step.inputs.first().and_then(|id| program.values.get(id.0)).is_some_and(|v| v.low < 0);
                *slot = (*slot).min(compare_bits.saturating_sub(signed.into()));
            }
            Operation::Widen => *slot = (*slot).saturating_sub(1),
            _ => {}
        }
    }
    there
}
