//! Calibration: what every node of the graph takes on example inputs, through the float
//! interpreter.

use cryptflow_graph::float;
use cryptflow_graph::{Array, Graph, NodeId, Op, Range};

use super::gap::{Magnitudes, divides};
use super::near::{Near, decides};
use crate::fix::{ExampleError, FixError};

/// What the examples showed.
#[derive(Clone, Debug)]
pub(crate) struct Calibration {
    /// The range of every node, by its id.
    pub(crate) ranges: Vec<Range>,
    /// The root mean square of each node's elements, by its id.
    pub(crate) typical: Vec<f64>,
    /// For a node that something is divided by, and that was next to nothing or far from it: the
    /// least that it was otherwise.
    pub(crate) least: Vec<Option<f64>>,
    /// For each node that compares, what is close to where it decides.
    pub(crate) near: Vec<Option<Near>>,
    /// The outputs of the graph, for each example.
    pub(crate) outputs: Vec<Vec<Array>>,
}

/// Runs the graph on examples, each one value for each input of the graph. `watch` names the nodes
/// whose values [`Calibration::outputs`] keeps.
///
/// # Errors
/// Where an example has another shape than the inputs, or a node gives infinite numbers or none.
pub(crate) fn calibrate(
    graph: &Graph,
    examples: &[Vec<Array>],
    watch: &[NodeId],
    progress: &mut dyn FnMut(usize),
) -> Result<Calibration, FixError> {
    let mut ranges = vec![Range::EMPTY; graph.nodes.len()];
    // Sums of squares, and of how many elements.
    let mut squares = vec![(0.0f64, 0usize); graph.nodes.len()];
    let mut divisors: Vec<Option<Magnitudes>> = divides(graph);
    let mut near = decides(graph);
    let mut looking: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
    for (id, node) in graph.nodes.iter().enumerate().filter(|(id, _)| near[*id].is_some()) {
        node.inputs.iter().for_each(|input| looking[input.0].push(id));
    }
    let mut outputs = Vec::with_capacity(examples.len());
    for (index, example) in examples.iter().enumerate() {
        progress(index);
        let mut kept: Vec<Option<Array>> = vec![None; watch.len()];
        let mut broken = None;
        float::run(graph, example, &mut |id, value| {
            // A constant is the same in all of them.
            if index == 0 || !matches!(graph.node(id).op, Op::Constant(_)) {
                match seen(&value.data) {
                    Some((range, sum)) => {
                        ranges[id.0] = ranges[id.0].union(range);
                        squares[id.0] = (squares[id.0].0 + sum, squares[id.0].1 + value.data.len());
                    }
                    None => broken = broken.or(Some(id)),
                }
            }
            if let Some(magnitudes) = &mut divisors[id.0] {
                magnitudes.add(&value.data);
            }
            for &node in &looking[id.0] {
                near[node].iter_mut().for_each(|near| near.see(value));
            }
            for (slot, _) in kept.iter_mut().zip(watch).filter(|(_, watched)| **watched == id) {
                *slot = Some(value.clone());
            }
        })
        .map_err(|e| FixError::Example { index, error: e.into() })?;
        if let Some(id) = broken {
            let error = ExampleError::NotFinite(graph.node(id).name.clone());
            return Err(FixError::Example { index, error });
        }
        outputs.push(kept.into_iter().flatten().collect());
    }
    let least = divisors.iter().map(|of_node| of_node.as_ref().and_then(Magnitudes::least)).collect();
    let typical = squares.into_iter().map(|(sum, count)| (sum / count.max(1) as f64).sqrt()).collect();
    Ok(Calibration { ranges, typical, least, near, outputs })
}

/// The smallest and largest element, and the sum of the squares of all; none where one is not a
/// finite number.
fn seen(data: &[f32]) -> Option<(Range, f64)> {
    // In lanes, so that no element waits for the one before it.
    const LANES: usize = 16;
    let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    let (mut sum, mut squares) = ([0.0f32; LANES], [0.0f32; LANES]);
    for chunk in data.chunks(LANES) {
        for (i, &v) in chunk.iter().enumerate() {
            low[i] = low[i].min(v);
            high[i] = high[i].max(v);
            // `min` and `max` pass over NaN; a product with zero keeps it, and makes one of
            // infinity.
            sum[i] += v * 0.0;
            squares[i] += v * v;
        }
    }
    let low = low.into_iter().fold(f32::INFINITY, f32::min);
    let high = high.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let squares = squares.into_iter().map(f64::from).sum();
    (sum == [0.0; LANES]).then_some((Range { low: low.into(), high: high.into() }, squares))
}
