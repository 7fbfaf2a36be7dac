//! Bounds without examples: interval arithmetic from the range of the inputs.
//!
//! Sound for every input in that range, and far wider than what a model does: a layer's bound adds
//! up the worst of every term, and the next layer starts from there. A few layers fit a 64-bit
//! ring; deep networks do not and need calibration. Ranges hold the fixed-point values, rounding of
//! weights and activations included, for programs whose weights keep their full precision. What an
//! operation makes of ranges is said with the operation, in the graph.

use cryptflow_graph::ranges::{Rounding, intervals};
use cryptflow_graph::{Function, Graph, Range};

use crate::functions::domain;

use super::options::WORST_CASE_WEIGHT_BITS;
use super::units::exp2;

/// The ranges of all nodes, by id, where the inputs take values in these ranges and activations
/// have at least so many fractional bits. A constant has the range of its elements. Nodes of
/// operations that cannot be lowered have an empty range.
pub(crate) fn interval(graph: &Graph, inputs: &[Range], scale: u32) -> Vec<Range> {
    let unit = 1.0 / exp2(scale);
    let domain = |function: Function, range: Range| domain(function, range, range, unit, 1.0).ok();
    intervals(graph, inputs, &Rounding { unit, weight: 1.0 / exp2(WORST_CASE_WEIGHT_BITS), domain: &domain })
}
