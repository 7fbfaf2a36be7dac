//! The first stage: a graph, and what each of its values may be.

pub(crate) mod agreement;
mod alike;
mod calibrate;
pub(crate) mod columns;
pub(crate) mod examples;
pub(crate) mod gap;
pub(crate) mod near;
pub(crate) mod sensitivity;

use cryptflow_graph::{Array, Graph, NodeId, Range};
use cryptflow_program::Batch;

use super::FixError;
use super::interval::interval;
use super::options::{Accuracy, CompileOptions, OptionError};
use super::progress::Progress;
use crate::functions::LOCAL_ROUND;
use calibrate::calibrate;
use examples::{Examples, Opened};
use near::Near;

/// Examples from which on calibrated bounds are trusted with the smaller margin.
pub(crate) const MANY_EXAMPLES: usize = 32;

/// A graph with a range for every value.
pub(crate) struct Bounded<'a> {
    pub(crate) graph: &'a Graph,
    /// What each node's value may be, by id; without margin.
    pub(crate) ranges: Vec<Range>,
    /// The root mean square of each node's elements, by id; none where there are no examples.
    pub(crate) typical: Vec<f64>,
    /// For each node that something is divided by the least that examples show of it beside what is
    /// next to nothing, where they show that as well; see [`gap`].
    pub(crate) least: Vec<Option<f64>>,
    /// For each node that compares, what examples show close to where it decides; none elsewhere.
    pub(crate) near: Vec<Option<Near>>,
    /// Bits by which values may exceed their ranges.
    pub(crate) margin: f64,
    /// Whether values may have more where that costs next to nothing: the user did not say how much.
    pub(crate) more_where_cheap: bool,
    /// The examples that ranges come from; none where they are worst cases.
    pub(crate) examples: Option<Examples>,
    /// Rows of an example.
    pub(crate) rows: usize,
    /// Whether there are so few that their extremes say little.
    pub(crate) few: bool,
    /// Whether the program will say if a value left its bounds.
    pub(crate) guarded: bool,
    /// What a round is worth on the network that the program is for.
    pub(crate) bits_per_round: u64,
}

impl<'a> Bounded<'a> {
    /// By what examples lead to. Each has one value for each input; `opened` says which values the
    /// outputs are.
    ///
    /// # Errors
    /// An example that the float model cannot be run on.
    pub(crate) fn by_examples(
        graph: &'a Graph,
        inputs: Vec<Vec<Array>>,
        opened: Vec<Opened>,
        options: &CompileOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Bounded<'a>, FixError> {
        let watch: Vec<NodeId> = opened.iter().map(|o| o.node).collect();
        let total = inputs.len();
        let seen = calibrate(graph, &inputs, &watch, &mut |done| {
            progress(Progress::Calibrating { done, total });
        })?;
        let mut ranges = seen.ranges;
        alike::align(graph, &mut ranges);
        let first = || graph.inputs.first().and_then(|&id| graph.node(id).shape.first()).copied();
        let rows = match options.batch {
            Batch::Rows => first().unwrap_or(1),
            Batch::Whole => 1,
        };
        let few = total * rows < MANY_EXAMPLES;
        let examples = Examples::new(inputs, &seen.outputs, opened, (&options.tolerance, Accuracy::Exact))?;
        let margin = options.margin.unwrap_or(if few { 2.0 } else { 1.0 });
        Ok(Bounded {
            graph,
            ranges,
            typical: seen.typical,
            least: seen.least,
            near: seen.near,
            margin,
            more_where_cheap: options.margin.is_none(),
            examples: Some(examples),
            rows,
            few,
            guarded: options.guard,
            bits_per_round: options.bits_per_round.unwrap_or(LOCAL_ROUND),
        })
    }

    /// By whatever inputs in these ranges lead to, at the first of the scales.
    ///
    /// # Errors
    /// Ranges that are none, or not one for each input.
    pub(crate) fn by_worst_cases(
        graph: &'a Graph,
        inputs: &[Range],
        options: &CompileOptions,
    ) -> Result<Bounded<'a>, OptionError> {
        if inputs.len() != graph.inputs.len() {
            return Err(OptionError::RangeCount { given: inputs.len(), inputs: graph.inputs.len() });
        }
        let usable = |r: &&Range| r.low.is_finite() && r.high.is_finite() && r.low <= r.high;
        if let Some(range) = inputs.iter().find(|r| !usable(r)) {
            return Err(OptionError::NoRange(*range));
        }
        let ranges = interval(graph, inputs, options.scale.first());
        let least = vec![None; graph.nodes.len()];
        Ok(Bounded {
            graph,
            ranges,
            typical: Vec::new(),
            least,
            near: Vec::new(),
            margin: 0.0,
            more_where_cheap: false,
            examples: None,
            rows: 1,
            few: false,
            guarded: false,
            bits_per_round: options.bits_per_round.unwrap_or(LOCAL_ROUND),
        })
    }
}
