//! From a graph to a compiled model, in one call.

use std::fmt;

use cryptflow_program::{OutputTransform, Preprocessing, Program};

use crate::fix::plan::Plan;
use crate::fix::planner::{Planner, origins};
use crate::fix::quantise::{Choice, Quantised, WEIGHT_BITS, WORST_CASE_WEIGHT_BITS, check, quantise};
use crate::fix::report::{CompileReport, TrialReport, measure};
use crate::fix::search::Search;
use crate::fix::trial::{Agreement, Examples, Opened};
use crate::fix::{FixError, FixedRunner, calibrate, interval, lower};
use cryptflow_graph::{Array, Graph, NodeId, Range};

/// Fractional bits of activations where there is nothing to search with.
pub const DEFAULT_SCALE: u32 = 12;

/// Examples from which on calibrated bounds are trusted with the smaller margin.
const MANY_EXAMPLES: usize = 32;

/// How to choose the number of fractional bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// The smallest one that agrees with the float model, see the search's rule in [`crate::fix`].
    #[default]
    Auto,
    /// This one.
    Bits(u32),
}

/// How to choose K, the bits of the large ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// The smallest one up to 64 that the bounds allow and that agrees with the float model.
    Auto,
    /// This one.
    Bits(u32),
}

impl Default for Ring {
    fn default() -> Ring {
        Ring::Bits(64)
    }
}

/// What values may be.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Bounds {
    /// As in the examples, with a margin. Each example has one value for each input of the graph.
    Examples(Vec<Vec<Array>>),
    /// Whatever inputs in these ranges (one for each input) lead to.
    Ranges(Vec<Range>),
    /// Nothing is known.
    #[default]
    Unknown,
}

/// What the user may choose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompileOptions {
    /// Name of the model; the graph's, if there is none.
    pub name: Option<String>,
    /// Fractional bits.
    pub scale: Scale,
    /// Bits of the ring.
    pub ring: Ring,
    /// Bits by which bounds exceed the extremes of the examples: 1 by default, 2 where there are fewer than 32 examples.
    pub margin: Option<f64>,
    /// Bits of magnitude of a layer's largest weight at most, 7 to 31; all 31 by default. What is shifted out after a layer grows with
    /// them, and so does the probability that a local truncation fails (Porthos'): fewer are wanted there.
    pub weight_bits: Option<u32>,
    /// Whether the parties compute a softmax or an arg-max that ends the model, so that the client opens the answer and not what it is
    /// computed of.
    pub hide_logits: bool,
    /// How raw data becomes the inputs, in order; missing ones are left as they are.
    pub preprocessing: Vec<Preprocessing>,
}

/// A compiled model.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The program.
    pub program: Program,
    /// Its weights, by id.
    pub weights: Vec<Vec<i64>>,
    /// What was decided and measured.
    pub report: CompileReport,
}

/// Why a model was not compiled.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompileError {
    /// The fixed-point step failed.
    #[error(transparent)]
    Fix(#[from] FixError),
    /// Neither examples nor ranges of the inputs were given.
    #[error(
        "nothing is known of the inputs: give examples (--calibrate), from which bounds and scale follow, or at least \
         the range of the inputs (--range)"
    )]
    NoBounds,
    /// An option that makes no sense.
    #[error("{0}")]
    Option(String),
}

/// What the compiler is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Running the float model on an example.
    Calibrating {
        /// Examples done.
        done: usize,
        /// Examples in all.
        total: usize,
    },
    /// A program was tried.
    Tried {
        /// Its scale.
        scale: u32,
        /// Its ring.
        ring_bits: u32,
        /// How it compares with the float model.
        outcome: String,
    },
    /// The last run, for the report.
    Measuring,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Progress::Calibrating { done, total } => {
                write!(f, "calibrating: example {} of {total}", done + 1)
            }
            Progress::Tried { scale, ring_bits, outcome } => {
                write!(f, "{scale} fractional bits, ring of {ring_bits} bits: {outcome}")
            }
            Progress::Measuring => write!(f, "measuring the error of every layer"),
        }
    }
}

/// Compiles a graph: bounds, plan, scale, ring, program, report. The graph is one that the passes have been over.
///
/// # Errors
/// See [`CompileError`]; nodes that cannot be compiled are all in one [`FixError::Unsupported`].
pub fn compile(
    graph: &Graph,
    bounds: Bounds,
    options: &CompileOptions,
    runner: &dyn FixedRunner,
    progress: &mut dyn FnMut(Progress),
) -> Result<Compiled, CompileError> {
    check_options(options)?;
    match bounds {
        Bounds::Unknown => Err(CompileError::NoBounds),
        Bounds::Ranges(ranges) => without_examples(graph, &ranges, options, runner),
        Bounds::Examples(examples) if examples.is_empty() => Err(CompileError::NoBounds),
        Bounds::Examples(examples) => with_examples(graph, examples, options, runner, progress),
    }
}

/// The nodes of a graph that cannot be compiled; empty if it can be. Needs neither examples nor ranges.
pub fn unsupported(graph: &Graph) -> Vec<lower::Unsupported> {
    match origins(graph) {
        Err(FixError::Unsupported(nodes)) => nodes,
        _ => Vec::new(),
    }
}

fn check_options(options: &CompileOptions) -> Result<(), CompileError> {
    let fail = |text: String| Err(CompileError::Option(text));
    match (options.scale, options.ring) {
        (Scale::Bits(bits), _) if !(1..=30).contains(&bits) => {
            fail(format!("a scale of {bits} fractional bits is outside of 1 to 30"))
        }
        (_, Ring::Bits(bits)) if !(16..=64).contains(&bits) => {
            fail(format!("a ring of {bits} bits is outside of 16 to 64"))
        }
        _ if options.weight_bits.is_some_and(|bits| !(7..=WEIGHT_BITS).contains(&bits)) => {
            fail(format!("weights have 7 to {WEIGHT_BITS} bits of magnitude"))
        }
        _ => match options.margin {
            Some(margin) if !(0.0..=20.0).contains(&margin) => {
                fail(format!("a margin of {margin} bits is outside of 0 to 20"))
            }
            _ => Ok(()),
        },
    }
}

fn with_examples(
    graph: &Graph,
    inputs: Vec<Vec<Array>>,
    options: &CompileOptions,
    runner: &dyn FixedRunner,
    progress: &mut dyn FnMut(Progress),
) -> Result<Compiled, CompileError> {
    // Which nodes are opened does not depend on the ranges; which ranges there are takes the runs.
    let origins = origins(graph)?;
    let watch: Vec<NodeId> = origins.iter().flatten().map(|(node, _)| *node).collect();
    let total = inputs.len();
    let seen = calibrate::calibrate(graph, &inputs, &watch, &mut |done| {
        progress(Progress::Calibrating { done, total })
    })?;
    let few = total
        * graph.inputs.first().map_or(1, |&id| graph.node(id).shape.first().copied().unwrap_or(1))
        < MANY_EXAMPLES;
    let margin = options.margin.unwrap_or(if few { 2.0 } else { 1.0 });
    let mut planner = Planner::new(graph, &seen.ranges, margin);
    let first = match options.scale {
        Scale::Bits(bits) => bits,
        Scale::Auto => DEFAULT_SCALE,
    };
    let plan = planner.plan(first)?;
    let outputs = seen.outputs.iter().map(|kept| float_outputs(kept, &origins)).collect::<Result<_, _>>()?;
    let classes = plan
        .outputs
        .iter()
        .map(|o| {
            let shape = &plan.values[o.value].shape;
            let last = shape.last().copied().filter(|&n| n > 1);
            last.filter(|_| o.transform.is_some() || shape.len() == 2)
        })
        .collect();
    let examples = Examples { inputs, outputs, classes };
    let ring_bits = match options.ring {
        Ring::Bits(bits) => bits,
        Ring::Auto => 64,
    };
    let weight_bits = options.weight_bits.unwrap_or(WEIGHT_BITS);
    let mut choice = Choice { scale: DEFAULT_SCALE, ring_bits, margin, may_round_weights: true, weight_bits };
    let tolerance = examples.tolerance();
    let mut trials = Vec::new();
    let mut tell = |choice: Choice, result: &Result<Agreement, FixError>| {
        trials.push(trial(choice, result));
        progress(tried(choice, result));
    };
    let macs = plan.macs();
    let mut search = Search { planner: &mut planner, examples: &examples, runner, macs, progress: &mut tell };
    let chosen = search.chosen();
    let scale_reason;
    (choice.scale, scale_reason) = match options.scale {
        Scale::Bits(bits) => (bits, "chosen by the user".to_string()),
        Scale::Auto => {
            let (scale, a) = search.scale(choice)?;
            let reason = format!(
                "the smallest that agrees with the float model on {} examples: the largest error of an output is {:.3e}, {:.3e} is \
                 allowed",
                chosen.len(),
                a.error,
                a.tolerance
            );
            (scale, reason)
        }
    };
    let ring_reason = match options.ring {
        Ring::Bits(_) => "as chosen".to_string(),
        Ring::Auto => {
            choice.ring_bits = search.ring(choice)?;
            "the smallest in which bounds fit and the program agrees".to_string()
        }
    };
    progress(Progress::Measuring);
    // The scale is found on the logits, where there are any: they say more than answers.
    let (plan, examples) = if options.hide_logits {
        let hidden = Planner::new(graph, &seen.ranges, margin).hiding_logits(true).plan(choice.scale)?;
        let examples = examples.answered(planner.plan(choice.scale)?.as_ref())?;
        (hidden, examples)
    } else {
        (planner.plan(choice.scale)?, examples)
    };
    let name = options.name.clone().unwrap_or_else(|| graph.name.clone());
    let quantised = finished(&plan, &name, choice, options)?;
    let chosen = &chosen[..chosen.len().min(4)];
    let mut report = measure(graph, &plan, &quantised, Some((&examples, chosen)), tolerance, runner)?;
    report.examples = total;
    report.trials = trials;
    (report.scale_reason, report.ring_reason, report.margin_bits) = (scale_reason, ring_reason, margin);
    if few {
        report.warnings.push(format!(
            "bounds come from {total} examples only; {MANY_EXAMPLES} and more make them trustworthy (margin: {margin} bits)"
        ));
    }
    Ok(completed(quantised, report))
}

fn trial(choice: Choice, result: &Result<Agreement, FixError>) -> TrialReport {
    let report = TrialReport { scale: choice.scale, ring_bits: choice.ring_bits, ..TrialReport::default() };
    match result {
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

fn tried(choice: Choice, result: &Result<Agreement, FixError>) -> Progress {
    let outcome = match result {
        Ok(a) => {
            let verdict = if a.holds() { "agrees" } else { "too coarse" };
            let choices = match a.rows {
                0 => String::new(),
                rows => format!(", {} of {rows} arg-max differ", a.flips),
            };
            format!("{verdict}: largest error {:.3e} of {:.3e} allowed{choices}", a.error, a.tolerance)
        }
        Err(e) => e.to_string(),
    };
    Progress::Tried { scale: choice.scale, ring_bits: choice.ring_bits, outcome }
}

/// The float outputs of one example, moved as they are opened.
fn float_outputs(kept: &[Array], origins: &[Option<Opened>]) -> Result<Vec<Vec<f32>>, FixError> {
    let mut kept = kept.iter();
    let mut outputs = Vec::with_capacity(origins.len());
    for origin in origins {
        let (Some((_, movements)), Some(array)) = (origin, kept.next()) else {
            return Err(FixError::Internal("an output has no float value to compare with".into()));
        };
        let (mut shape, mut data) = (array.shape.clone(), array.data.to_vec());
        for movement in movements {
            let moved =
                movement.apply(&[(&shape, &data)]).and_then(|d| Ok((movement.output_shape(&[&shape])?, d)));
            (shape, data) = moved.map_err(|e| FixError::Internal(e.to_string()))?;
        }
        outputs.push(data);
    }
    Ok(outputs)
}

fn without_examples(
    graph: &Graph,
    ranges: &[Range],
    options: &CompileOptions,
    runner: &dyn FixedRunner,
) -> Result<Compiled, CompileError> {
    if ranges.len() != graph.inputs.len() {
        let text = format!("{} ranges were given for {} inputs", ranges.len(), graph.inputs.len());
        return Err(CompileError::Option(text));
    }
    if let Some(r) = ranges.iter().find(|r| !(r.low.is_finite() && r.high.is_finite() && r.low <= r.high)) {
        return Err(CompileError::Option(format!("{} to {} is not a range of numbers", r.low, r.high)));
    }
    let (scale, scale_reason) = match options.scale {
        Scale::Bits(bits) => (bits, "chosen by the user"),
        Scale::Auto => (DEFAULT_SCALE, "the default, as there are no examples to search with"),
    };
    let ranges = interval::interval(graph, ranges, scale);
    let plan = Planner::new(graph, &ranges, 0.0).hiding_logits(options.hide_logits).plan(scale)?;
    // Worst-case bounds allow for so much rounding of weights and no more.
    let weight_bits = options.weight_bits.unwrap_or(WEIGHT_BITS).max(WORST_CASE_WEIGHT_BITS);
    let mut choice = Choice { scale, ring_bits: 64, margin: 0.0, may_round_weights: false, weight_bits };
    choice.ring_bits = match options.ring {
        Ring::Bits(bits) => bits,
        Ring::Auto => crate::fix::quantise::ring_limits(&plan, choice).1.min(64),
    };
    let name = options.name.clone().unwrap_or_else(|| graph.name.clone());
    let quantised = finished(&plan, &name, choice, options)?;
    let mut report = measure(graph, &plan, &quantised, None, 0.0, runner)?;
    report.scale_reason = scale_reason.to_string();
    report.ring_reason = "from worst-case bounds".to_string();
    let widest = report.layers.iter().map(|l| l.bits_needed).max().unwrap_or(0);
    report.warnings.push(format!(
        "no calibration data: bounds are worst cases, up to {widest} bits, so that comparisons look at more bits than the model \
         needs, and the scale was not checked against the float model"
    ));
    Ok(completed(quantised, report))
}

fn finished(
    plan: &Plan,
    name: &str,
    choice: Choice,
    options: &CompileOptions,
) -> Result<Quantised, FixError> {
    let mut quantised = quantise(plan, name, choice)?;
    for (input, preprocessing) in quantised.program.inputs.iter_mut().zip(&options.preprocessing) {
        input.preprocessing = preprocessing.clone();
    }
    check(&quantised.program)?;
    Ok(quantised)
}

fn completed(quantised: Quantised, mut report: CompileReport) -> Compiled {
    let Quantised { program, weights, .. } = quantised;
    for output in &program.outputs {
        let applied = match output.transform {
            Some(OutputTransform::Softmax) => "softmax",
            Some(OutputTransform::ArgMax) => "arg-max",
            Some(OutputTransform::TopK { .. }) => "top-k",
            Some(OutputTransform::Class { .. }) | None => continue,
        };
        report.warnings.push(format!(
            "output {}: the client gets the logits and applies {applied} itself; where it may learn the {applied} only, compile with \
             --hide-logits",
            output.name
        ));
    }
    Compiled { program, weights, report }
}
