//! Columns of an input that are of very different size (a price beside a rate): the client multiplies
//! each with a power of two, so that one scale serves all, and the model divides by it, in the weights
//! of what uses it first.
//!
//! The powers follow from the calibration data alone, as bounds do: they are public, and how much a
//! column matters to the model is not.

use cryptflow_graph::{Arithmetic, Array, Graph, Linear, NodeId, Op, Range};
use cryptflow_ring::Movement;

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
            Some(examples)
                if (2..=3).contains(&shape.len())
                    && COLUMNS.contains(&columns)
                    && graph.classes(id).is_none() =>
            {
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
        let shape = graph.node(input).shape.clone();
        let rows = shape.iter().product::<usize>() / factors.len();
        let all = factors.iter().map(|&f| f as f32).collect::<Vec<_>>().repeat(rows);
        let name = format!("{}/columns", graph.node(input).name);
        divide(&mut graph, &name, input, &Array::new(shape, all).map_err(Defect::from)?)?;
        if graph.outputs.contains(&input) {
            let own = quotient(&mut graph, &name, input, factors)?;
            graph.outputs.iter_mut().filter(|o| **o == input).for_each(|o| *o = own);
        }
    }
    graph.restore_order();
    crate::passes::optimise(&mut graph);
    Ok(graph)
}

/// Divides what uses a value that has these factors in it: each by itself, which takes that up into its
/// weights where it can. What only moves elements moves their factors, and what compares them with
/// constants compares with multiples of these: a threshold is as precise as its column.
fn divide(graph: &mut Graph, name: &str, value: NodeId, factors: &Array) -> Result<(), Defect> {
    let users: Vec<usize> =
        (0..graph.nodes.len()).filter(|&i| graph.nodes[i].inputs.contains(&value)).collect();
    for user in users {
        let id = NodeId(user);
        if let (Op::Movement(movement), [_], false) =
            (&graph.node(id).op, graph.node(id).inputs.as_slice(), graph.outputs.contains(&id))
        {
            let moved = movement.apply(&[(&factors.shape, &factors.data)])?;
            let moved = Array::new(graph.node(id).shape.clone(), moved)?;
            // Nothing was filled in, which has no factor.
            if moved.data.iter().all(|&f| f > 0.0) && of_columns(&moved).is_some() {
                divide(graph, name, id, &moved)?;
                continue;
            }
        }
        if let Some(multiple) = multiple(graph, id, value, factors) {
            let constant = graph.add_constant(format!("{name}/threshold"), multiple);
            graph.nodes[user].inputs.iter_mut().filter(|i| **i != value).for_each(|i| *i = constant);
            continue;
        }
        let columns = of_columns(factors).unwrap_or_default();
        let own = quotient(graph, name, value, &columns)?;
        graph.nodes[user].inputs.iter_mut().filter(|i| **i == value).for_each(|i| *i = own);
    }
    Ok(())
}

/// The factors of each column of the last axis, where all rows have the same.
fn of_columns(factors: &Array) -> Option<Vec<f64>> {
    let columns = factors.shape.last().copied().unwrap_or(1).max(1);
    let mut rows = factors.data.chunks(columns);
    let first = rows.next()?;
    rows.all(|row| row == first).then(|| first.iter().map(|&f| f.into()).collect())
}

/// The constant that a value is compared with, times its factors; none where a node is not such a
/// comparison.
fn multiple(graph: &Graph, id: NodeId, value: NodeId, factors: &Array) -> Option<Array> {
    let node = graph.node(id);
    let (Op::Arithmetic(Arithmetic::Compare(_)), [a, b]) = (&node.op, node.inputs.as_slice()) else {
        return None;
    };
    let constant = graph.constant(if *a == value { *b } else { *a })?;
    let wide = |array: &Array| {
        Movement::Broadcast { shape: node.shape.clone() }.apply(&[(&array.shape, &array.data)]).ok()
    };
    // Powers of two change no digit.
    let data = wide(constant)?.iter().zip(wide(factors)?).map(|(c, f)| c * f).collect::<Vec<f32>>();
    let same = data.iter().all(|&v| v == data[0]);
    let array = if same {
        Array::new(vec![1; node.shape.len()], data[..1].to_vec())
    } else {
        Array::new(node.shape.clone(), data)
    };
    array.ok().filter(|array| array.data.iter().all(|v| v.is_finite()))
}

/// A value divided by the factors of its columns.
fn quotient(graph: &mut Graph, name: &str, value: NodeId, factors: &[f64]) -> Result<NodeId, Defect> {
    let inverse = factors.iter().map(|f| (1.0 / f) as f32).collect();
    let factor = graph.add_constant(format!("{name}/factor"), Array::vector(inverse));
    let offset = graph.add_constant(format!("{name}/offset"), Array::vector(vec![0.0; factors.len()]));
    Ok(graph.add(name.to_string(), Linear::Scale, &[value, factor, offset])?)
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
