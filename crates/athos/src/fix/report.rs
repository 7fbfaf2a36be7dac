//! The last stage: the compiler's report. Layer by layer, what values need, what they have, and how
//! far fixed point is from the float model; and what the user should know.

mod layers;
mod measure;

use std::collections::HashSet;

use cryptflow_program::{OutputTransform, Program, ValueId, liveness};
use serde::{Deserialize, Serialize};

use super::bounded::agreement::Margins;
use super::bounded::examples::Examples;
use super::bounded::{Bounded, MANY_EXAMPLES};
use super::chosen::search::{Decision, Trial};
use super::quantised::Quantised;
use super::runner::FixedRunner;
use super::{FixError, counted};
use crate::Meaning;

pub use super::planned::plan::FunctionReport;

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
    /// Bits of the largest ring.
    pub ring_bits: u32,
    /// Why.
    pub ring_reason: String,
    /// Bits by which bounds exceed what was seen (0 for worst-case bounds).
    pub margin_bits: f64,
    /// Examples that the bounds come from, rows of the calibration data; 0 for worst-case bounds.
    pub examples: usize,
    /// Elements of all weights.
    pub parameters: u64,
    /// Multiply-accumulate operations of one run.
    pub macs: u64,
    /// Elements that are alive at one time, at most.
    pub peak_elements: u64,
    /// How fixed point compares with the float model, over the runs that it was judged by.
    pub agreement: Option<AgreementReport>,
    /// Where only decisions were to be kept, how far the classes are apart that were decided between.
    pub decisions: Option<DecisionsReport>,
    /// What the numbers of each output say.
    pub outputs: Vec<Meaning>,
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
    /// Bits of its largest ring.
    pub ring_bits: u32,
    /// How often each example was run.
    pub draws: usize,
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgreementReport {
    /// Examples that were compared: rows of the calibration data.
    pub examples: usize,
    /// How often each was run: rounding is random.
    pub draws: usize,
    /// Rows of outputs that are choices among classes.
    pub rows: usize,
    /// Those with another arg-max, of one run of all examples.
    pub flips: usize,
    /// The largest error of an output.
    pub largest_error: f64,
    /// The error that the search for a scale allows.
    pub tolerance: f64,
    /// The output, and its column, that the error is of.
    pub place: String,
}

/// Decisions of the float model on the examples: how far the best class lies before the second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionsReport {
    /// In the middle of all rows.
    pub median_margin: f64,
    /// Where it is least.
    pub thinnest_margin: f64,
}

impl DecisionsReport {
    fn of(margins: Margins) -> DecisionsReport {
        DecisionsReport { median_margin: margins.median, thinnest_margin: margins.thinnest }
    }
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
    /// By how many bits the largest value may grow before something fails. None where a value stays
    /// within its bounds as long as those that it is computed of do: then it is their margin that
    /// counts.
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

/// Reports on a program. Where there are examples, it is run on some of them beside the float
/// model.
///
/// # Errors
/// Where it cannot be run.
pub(crate) fn report(
    bounded: &Bounded<'_>,
    decision: &Decision,
    quantised: &Quantised,
    runner: &dyn FixedRunner,
) -> Result<CompileReport, FixError> {
    let plan = &decision.chosen.plan;
    let weight_bits = layers::weight_bits(quantised);
    let measured = measure::measure(bounded, decision, quantised, runner)?;
    let (layers, exceeded) = layers::describe(plan, quantised, &weight_bits, &measured.differences);
    let program = &quantised.program;
    let mut report = CompileReport {
        scale: program.scale,
        scale_reason: format!("{}{}", unlike(program), decision.scale_reason),
        ring_bits: program.ring_bits,
        ring_reason: format!("{}{}", rings(program), decision.ring_reason),
        margin_bits: bounded.margin,
        examples: bounded.examples.as_ref().map_or(0, |examples| examples.inputs.len() * bounded.rows),
        parameters: program.weights.iter().map(|w| w.shape.iter().product::<usize>() as u64).sum(),
        macs: plan.macs(),
        peak_elements: liveness::peak_elements(program),
        agreement: measured.agreement,
        decisions: bounded.examples.as_ref().and_then(Examples::margins).map(DecisionsReport::of),
        outputs: Meaning::of_outputs(bounded.graph),
        trials: decision.trials.iter().map(TrialReport::of).collect(),
        functions: plan.functions.clone(),
        layers,
        warnings: exceeded,
    };
    report.warn_of_errors();
    report.warn_of_numbers();
    report.warn_of_bounds(bounded);
    report.warn_of_logits(program);
    Ok(report)
}

/// The fractional bits of values, where they are not all the same.
fn unlike(program: &Program) -> String {
    // Flags have none.
    let scales = || program.values.iter().map(|v| v.scale).filter(|&s| s > 0);
    match (scales().min(), scales().max()) {
        (Some(least), Some(most)) if least < most => {
            format!("values have {least} to {most}, as their errors matter; ")
        }
        _ => String::new(),
    }
}

/// The rings of wide values, where they are not all the same.
fn rings(program: &Program) -> String {
    let wide = (0..program.values.len()).filter(|&value| program.values[value].wide);
    match wide.map(|value| program.ring_of(ValueId(value))).min() {
        Some(least) if least < program.ring_bits => {
            format!("values have {least} to {}, as the layers behind them need; ", program.ring_bits)
        }
        _ => String::new(),
    }
}

impl TrialReport {
    fn of(trial: &Trial) -> TrialReport {
        let (scale, ring_bits) = (trial.choice.scale, trial.ring_bits);
        let report = TrialReport { scale, ring_bits, draws: trial.draws, ..TrialReport::default() };
        match &trial.result {
            Ok(a) => TrialReport {
                agrees: a.holds(),
                largest_error: a.error,
                tolerance: a.tolerance,
                flips: a.flips,
                rows: a.rows,
                ..report
            },
            Err(e) => TrialReport { problem: Some(e.to_string()), ..report },
        }
    }
}

impl CompileReport {
    /// The margin of the bounds, for people: `1 bit`.
    pub fn margin(&self) -> String {
        counted(self.margin_bits, "bit")
    }

    /// The layers with their margins, in bits, the thinnest first; of those that take several steps
    /// the thinnest.
    pub fn thinnest(&self) -> Vec<(&str, f64)> {
        let margins = self.layers.iter().filter_map(|l| Some((l.name.as_str(), l.margin?)));
        let mut margins: Vec<(&str, f64)> = margins.collect();
        margins.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut named = HashSet::new();
        margins.retain(|(name, _)| named.insert(*name));
        margins
    }

    /// Errors beyond what was wanted.
    fn warn_of_errors(&mut self) {
        let Some(a) = self.agreement.as_ref().filter(|a| a.largest_error > a.tolerance) else { return };
        self.warnings.push(format!(
            "fixed point is not as close to the float model as is wanted: {} is off by {:.2e}, wanted are {:.2e}; if that is \
             good enough, say so with --tolerance",
            a.place, a.largest_error, a.tolerance
        ));
    }

    /// Numbers that were not to be kept.
    fn warn_of_numbers(&mut self) {
        let (Some(decisions), Some(a)) = (&self.decisions, &self.agreement) else { return };
        self.warnings.push(format!(
            "only decisions were kept (--accuracy labels): scores are off by up to {:.2e}, and rows in which two classes \
             are closer than twice that may be decided otherwise (in the examples they are {:.2e} apart, in half of them \
             more than {:.2e})",
            a.largest_error, decisions.thinnest_margin, decisions.median_margin
        ));
    }

    /// How far bounds are to be trusted.
    fn warn_of_bounds(&mut self, bounded: &Bounded<'_>) {
        if bounded.examples.is_none() {
            let widest = self.layers.iter().map(|l| l.bits_needed).max().unwrap_or(0);
            self.warnings.push(format!(
                "no calibration data: bounds are worst cases, up to {widest} bits, so that comparisons look at more bits \
                 than the model needs, and the scale was not checked against the float model"
            ));
            return;
        }
        let thin = self.thin();
        self.warnings.extend(thin);
        if bounded.few {
            self.warnings.push(format!(
                "bounds come from {} only; {MANY_EXAMPLES} and more make them trustworthy (margin: {})",
                counted(self.examples, "example"),
                self.margin()
            ));
        }
    }

    /// What is to be said of layers whose margins are thin.
    fn thin(&self) -> Option<String> {
        let thinnest = self.thinnest();
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

    /// What a client applies itself to what it opens.
    fn warn_of_logits(&mut self, program: &Program) {
        for output in &program.outputs {
            let applied = match output.transform {
                Some(OutputTransform::Softmax) => "softmax",
                Some(OutputTransform::ArgMax) => "arg-max",
                Some(OutputTransform::TopK { .. }) => "top-k",
                Some(OutputTransform::Class { .. }) | None => continue,
            };
            self.warnings.push(format!(
                "output {}: the client gets the logits and applies {applied} itself; where it may learn the {applied} only, \
                 compile with --hide-logits",
                output.name
            ));
        }
    }
}
