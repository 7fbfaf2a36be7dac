//! Columns of an input that are of very different size (a price beside a rate): the client multiplies
//! each with a power of two, so that one scale serves all, and the model divides by it, in the weights
//! of what uses it first.

use cryptflow_graph::{Array, Graph, Linear, NodeId};

use super::Bounded;
use super::sensitivity::needs;
use crate::fix::planned::Planner;
use crate::fix::{Defect, FixError};

/// The fewest columns that are looked at, and the most: pictures and embeddings have channels alike.
const COLUMNS: std::ops::RangeInclusive<usize> = 2..=4096;

/// Bits by which the columns of an input must differ.
const DIFFERENT: f64 = 3.0;

/// Bits by which a column may exceed the largest one when it is multiplied.
const BEYOND: f64 = 6.0;

/// The most bits that a column is multiplied by.
const MOST: f64 = 40.0;

/// For each input of a graph, what each column of its last axis is to be multiplied with; none where
/// they are alike.
///
/// # Errors
/// Nodes that cannot be computed, and examples that the float model cannot be run on.
pub(crate) fn factors(bounded: &Bounded<'_>, scale: u32) -> Result<Vec<Vec<f64>>, FixError> {
    let graph = bounded.graph;
    let nothing = vec![Vec::new(); graph.inputs.len()];
    let Some(examples) = bounded.examples.as_ref() else { return Ok(nothing) };
    let tabular = |id: NodeId| {
        let shape = &graph.node(id).shape;
        (2..=3).contains(&shape.len()) && shape.last().is_some_and(|n| COLUMNS.contains(n))
    };
    if !graph.inputs.iter().any(|&id| tabular(id)) {
        return Ok(nothing);
    }
    let macs = Planner::new(bounded, false).plan(scale)?.macs();
    let columns = needs(graph, examples, macs)?.columns;
    let of_input = |(index, (&id, needs)): (usize, (&NodeId, &Vec<Option<f64>>))| {
        let largest = largest(examples.inputs.iter().filter_map(|e| e.get(index)), needs.len());
        if tabular(id) { powers(needs, &largest) } else { Vec::new() }
    };
    Ok(graph.inputs.iter().zip(&columns).enumerate().map(of_input).collect())
}

/// The largest magnitude in each column.
fn largest<'a>(arrays: impl Iterator<Item = &'a Array>, columns: usize) -> Vec<f64> {
    let mut largest = vec![0.0f64; columns];
    for array in arrays {
        for (at, &v) in array.data.iter().enumerate() {
            largest[at % columns] = largest[at % columns].max(f64::from(v).abs());
        }
    }
    largest
}

/// Powers of two that make all columns need the same; none where they do already.
fn powers(needs: &[Option<f64>], largest: &[f64]) -> Vec<f64> {
    let fewest = needs.iter().copied().flatten().fold(f64::INFINITY, f64::min);
    let most = largest.iter().copied().fold(0.0, f64::max);
    let bits = |(need, &size): (&Option<f64>, &f64)| match need {
        Some(need) if size > 0.0 => {
            let room = ((most / size).log2() + BEYOND).floor();
            (need - fewest).round().min(room).clamp(0.0, MOST)
        }
        // A column that does not matter is as it is.
        Some(_) | None => 0.0,
    };
    let bits: Vec<f64> = needs.iter().zip(largest).map(bits).collect();
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
