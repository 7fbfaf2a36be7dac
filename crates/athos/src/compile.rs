//! From a graph to a compiled model, in one call.

use cryptflow_graph::Graph;
use cryptflow_program::Checked;

use crate::fix::bounded::examples::Examples;
use crate::fix::bounded::{Bounded, columns};
use crate::fix::chosen::search::{Round, Try, decide};
use crate::fix::planned::opened;
use crate::fix::quantised::rounding::rounding;
use crate::fix::quantised::{Outside, Quantised, quantise, trial};
use crate::fix::report::{CompileReport, report};
use crate::fix::{Already, FixError, FixedRunner, Unsupported};

pub use crate::fix::options::{
    Accuracy, Bounds, CompileOptions, DEFAULT_SCALE, DEFAULT_TOLERANCE, OptionError, Ring, Scale, Tolerance,
};
pub use crate::fix::progress::Progress;

/// A compiled model.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The program.
    pub program: Checked,
    /// Its weights, by id.
    pub weights: Vec<Vec<i64>>,
    /// What was decided and measured.
    pub report: CompileReport,
    /// The program that keeps the numbers, where this one keeps the decisions alone ([`Accuracy::Labels`]): what
    /// it saves is seen beside it.
    pub exact: Option<Checked>,
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
    #[error(transparent)]
    Option(#[from] OptionError),
}

/// Compiles a graph, stage by stage (see [`crate::fix`]). The graph is one that the passes have
/// been over.
///
/// # Errors
/// See [`CompileError`]; nodes that cannot be compiled are all in one [`FixError::Unsupported`].
pub fn compile(
    graph: impl Into<Graph>,
    bounds: Bounds,
    options: &CompileOptions,
    runner: &dyn FixedRunner,
    progress: &mut dyn FnMut(Progress),
) -> Result<Compiled, CompileError> {
    let graph = graph.into();
    let Written { quantised, report, exact } = written(&graph, bounds, options, runner, progress)?;
    // Whoever gave the graph away needs no memory for its weights beside those of the program.
    drop(graph);
    Ok(Compiled { program: quantised.program, weights: quantised.numbers.into_all(), report, exact })
}

/// What the stages come to.
struct Written {
    quantised: Quantised,
    report: CompileReport,
    exact: Option<Checked>,
}

fn written(
    graph: &Graph,
    bounds: Bounds,
    options: &CompileOptions,
    runner: &dyn FixedRunner,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written, CompileError> {
    options.check(graph)?;
    let graph = &*options.as_given(graph);
    let divided;
    let mut factors = vec![Vec::new(); graph.inputs.len()];
    let mut bounded = match bounds {
        Bounds::Ranges(ranges) => Bounded::by_worst_cases(graph, &ranges, options)?,
        Bounds::Examples(examples) if !examples.is_empty() => {
            Bounded::by_examples(graph, examples, opened(graph)?, options, progress)?
        }
        Bounds::Examples(_) | Bounds::Unknown => return Err(CompileError::NoBounds),
    };
    // A scale that was asked for is that of all columns.
    if options.scale == Scale::Auto {
        factors = columns::factors(&bounded);
        if factors.iter().any(|f| !f.is_empty())
            && let Some(examples) = bounded.examples.take()
        {
            divided = columns::divided(graph, &factors).map_err(FixError::from)?;
            let examples = columns::multiplied(examples.inputs, &factors);
            bounded = Bounded::by_examples(&divided, examples, opened(&divided)?, options, progress)?;
        }
    }
    if options.accuracy == Accuracy::Labels {
        let decide = bounded.examples.as_ref().map(Examples::decide);
        if !decide.ok_or(OptionError::NoExamplesOfDecisions)? {
            return Err(OptionError::NoDecisions { outputs: graph.output_names.clone() }.into());
        }
    }
    let calibrated = bounded.examples.is_some();
    let already = Already { calibrated, smaller_scales: calibrated && options.scale == Scale::Auto };
    let decided = |bounded: &Bounded<'_>, accuracy: Accuracy, progress: &mut dyn FnMut(Progress)| {
        let options = CompileOptions { accuracy, ..options.clone() };
        let tries: (Try<'_>, Round<'_>) =
            (&|chosen, with| trial::compare(chosen, with, runner), &|chosen, with| {
                rounding(bounded.graph, chosen, with, runner)
            });
        decide(bounded, &options, tries, progress).map_err(|error| error.after(already))
    };
    let mut decision = decided(&bounded, Accuracy::Exact, progress)?;
    let digits = |bounded: &Bounded<'_>| bounded.examples.as_ref().map(Examples::digits).unwrap_or_default();
    let mut outside = Outside {
        preprocessing: options.preprocessing.clone(),
        factors,
        batch: options.batch,
        bits_per_round: options.bits_per_round,
        digits: digits(&bounded),
        classes: graph.class_names.clone(),
    };
    let name = options.name.as_ref().unwrap_or(&graph.name);
    let mut quantised = quantise(&decision.chosen, name, &outside)?;
    let mut exact = None;
    if options.accuracy == Accuracy::Labels {
        exact = Some(quantised.program);
        let judged = |examples: Examples| examples.wanted((&options.tolerance, Accuracy::Labels));
        bounded.examples = bounded.examples.take().map(judged);
        progress(Progress::Relaxing);
        decision = decided(&bounded, Accuracy::Labels, progress)?;
        outside.digits = digits(&bounded);
        quantised = quantise(&decision.chosen, name, &outside)?;
    }
    let report = report(&bounded, &decision, &quantised, runner)?;
    Ok(Written { quantised, report, exact })
}

/// The nodes of a graph that cannot be compiled; empty if it can be. Needs neither examples nor
/// ranges.
pub fn unsupported(graph: &Graph) -> Vec<Unsupported> {
    match opened(graph) {
        Err(FixError::Unsupported(nodes)) => nodes,
        _ => Vec::new(),
    }
}
