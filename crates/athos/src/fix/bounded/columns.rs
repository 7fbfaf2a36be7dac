//! Columns of an input that are of very different size (a price beside a rate): the client multiplies
//! each with a power of two, so that one scale serves all, and the model divides by it, in the weights
//! of what uses it first.
//!
//! The powers follow from the calibration data alone, as bounds do: they are public, and how much a
//! column matters to the model is not.

use cryptflow_graph::{Array, Graph, Linear, NodeId, Range};

use super::Bounded;
use crate::fix::Defect;

/// The fewest columns that are looked at, and the most: pixels and embeddings are alike.
const COLUMNS: std::ops::RangeInclusive<usize> = 2..=512;

/// Bits by which what columns span must differ.
const DIFFERENT: f64 = 5.0;

/// Bits by which a column may exceed the largest one when it is multiplied.
const BEYOND: f64 = 6.0;

/// The most bits that a column is multiplied by.
const MOST: f64 = 40.0;

/// For each input of a graph, what each column of its last axis is to be multiplied with; none where
/// they are alike.
pub(crate) fn factors(bounded: &Bounded<'_>) -> Vec<Vec<f64>> {
    let graph = bounded.graph;
    let of_input = |(index, &id): (usize, &NodeId)| {
        let shape = &graph.node(id).shape;
        let columns = shape.last().copied().unwrap_or(1);
        match &bounded.examples {
            Some(examples) if (2..=3).contains(&shape.len()) && COLUMNS.contains(&columns) => {
                powers(&ranges(examples.inputs.iter().filter_map(|e| e.get(index)), columns))
            }
            _ => Vec::new(),
        }
    };
    graph.inputs.iter().enumerate().map(of_input).collect()
}

/// What each column was seen to be.
fn ranges<'a>(arrays: impl Iterator<Item = &'a Array>, columns: usize) -> Vec<Range> {
    let mut ranges = vec![Range::EMPTY; columns];
    for array in arrays {
        for (at, &v) in array.data.iter().enumerate() {
            ranges[at % columns] = ranges[at % columns].union(Range { low: v.into(), high: v.into() });
        }
    }
    ranges
}

/// Powers of two that make all columns span about the same; none where they do already.
fn powers(ranges: &[Range]) -> Vec<f64> {
    let widest = ranges.iter().map(|r| r.high - r.low).fold(0.0, f64::max);
    let most = ranges.iter().map(|r| r.magnitude()).fold(0.0, f64::max);
    let bits = |range: &Range| {
        let span = range.high - range.low;
        // What never changes is as it is.
        if span <= 0.0 {
            return 0.0;
        }
        let room = ((most / range.magnitude()).log2() + BEYOND).floor();
        (widest / span).log2().round().min(room).clamp(0.0, MOST)
    };
    let bits: Vec<f64> = ranges.iter().map(bits).collect();
    if bits.iter().all(|&b| b < DIFFERENT) {
        return Vec::new();
    }
    bits.iter().map(|b| b.exp2()).collect()
}

/// The graph whose inputs are multiplied so.
///
/// # Errors
/// A graph that contradicts itself.
pub(crate) fn divided(graph: &Graph, factors: &[Vec<f64>]) -> Result<Graph, Defect> {
    let mut graph = graph.clone();
    let inputs = graph.inputs.clone();
    for (&input, factors) in inputs.iter().zip(factors).filter(|(_, factors)| !factors.is_empty()) {
        let name = format!("{}/columns", graph.node(input).name);
        let inverse = factors.iter().map(|f| (1.0 / f) as f32).collect();
        let zeros = vec![0.0; factors.len()];
        let users: Vec<usize> =
            (0..graph.nodes.len()).filter(|&i| graph.nodes[i].inputs.contains(&input)).collect();
        let factor = graph.add_constant(format!("{name}/factor"), Array::vector(inverse));
        let offset = graph.add_constant(format!("{name}/offset"), Array::vector(zeros));
        // One for each user, which takes it up into its weights where it can.
        for user in users {
            let own = graph.add(name.clone(), Linear::Scale, &[input, factor, offset])?;
            graph.nodes[user].inputs.iter_mut().filter(|i| **i == input).for_each(|i| *i = own);
        }
        if graph.outputs.contains(&input) {
            let own = graph.add(name, Linear::Scale, &[input, factor, offset])?;
            graph.outputs.iter_mut().filter(|o| **o == input).for_each(|o| *o = own);
        }
    }
    graph.restore_order();
    crate::passes::optimise(&mut graph);
    Ok(graph)
}

/// Examples whose inputs are multiplied so.
pub(crate) fn multiplied(examples: Vec<Vec<Array>>, factors: &[Vec<f64>]) -> Vec<Vec<Array>> {
    let of_input = |(array, factors): (Array, &Vec<f64>)| {
        if factors.is_empty() {
            return array;
        }
        let data = array.data.iter().zip(factors.iter().cycle()).map(|(&v, f)| (f64::from(v) * f) as f32);
        let data = data.collect::<Vec<f32>>().into();
        Array { data, ..array }
    };
    let of_example = |example: Vec<Array>| example.into_iter().zip(factors).map(of_input).collect();
    examples.into_iter().map(of_example).collect()
}
