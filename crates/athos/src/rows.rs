//! Whether the first axis of a model's inputs counts rows: inputs of the same kind, of which each
//! has its own answer.
//!
//! Nothing in a file says so. A model of time steps has a first axis of fixed length as well, and a
//! mean over a batch mixes what a client takes for separate questions. So it is tried: a float run,
//! and others with one row changed. Where no other row's results move, in any bit, rows are rows.
//! An output without that axis is made of all rows, and is given for a whole batch; where no output
//! has it, nothing is left that it could count.

use std::hash::{DefaultHasher, Hasher};

use cryptflow_graph::{Array, Graph, NodeId, float};

/// Sizes of the values that are tried: what saturates for large ones does not for small ones.
const SIZES: [f32; 3] = [1.0, 0.1, 8.0];

/// What the first axis of the inputs is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstAxis {
    /// It counts rows, as far as can be seen: of inputs without a first axis in common, of a single
    /// row and of a model that no values that were tried could run, nothing can be seen.
    Rows,
    /// Rows influence each other.
    Mixed {
        /// A node in which that shows.
        node: String,
    },
}

/// Looks at the rows of a graph that takes several.
pub fn first_axis(graph: &Graph) -> FirstAxis {
    let firsts: Vec<Option<usize>> =
        graph.inputs.iter().map(|&id| graph.node(id).shape.first().copied()).collect();
    match firsts.first() {
        Some(&Some(rows)) if rows > 1 && firsts.iter().all(|&first| first == Some(rows)) => {
            let mixed = SIZES.iter().enumerate().find_map(|(i, &size)| mixing(graph, rows, size, i as u64));
            mixed.map_or(FirstAxis::Rows, |node| FirstAxis::Mixed { node })
        }
        _ => FirstAxis::Rows,
    }
}

/// A node that shows that rows influence each other, if one does with values of this size.
fn mixing(graph: &Graph, rows: usize, size: f32, seed: u64) -> Option<String> {
    let mut draw = Draw(seed);
    let inputs: Vec<Array> = graph.inputs.iter().map(|&id| draw.array(&graph.node(id).shape, size)).collect();
    let before = counted(graph, &inputs, rows)?;
    if graph.outputs.iter().all(|id| before[id.0].is_none()) {
        return graph.outputs.first().map(|&id| graph.node(id).name.clone());
    }
    // The first row's change shows what flows on, the last one's what flows back.
    [0, rows - 1].into_iter().find_map(|row| {
        let changed: Vec<Array> = inputs.iter().map(|array| draw.with_row(array, rows, row, size)).collect();
        let after = counted(graph, &changed, rows)?;
        let moved = |id: &NodeId| match (&before[id.0], &after[id.0]) {
            (Some(before), Some(after)) => {
                before.iter().zip(after).enumerate().any(|(i, (a, b))| i != row && a != b)
            }
            _ => false,
        };
        graph.outputs.iter().any(moved).then(|| {
            let first = (0..graph.nodes.len()).map(NodeId).find(moved);
            first.map_or_else(String::new, |id| graph.node(id).name.clone())
        })
    })
}

/// Of all nodes whose first axis has this length, a digest of each row: the values of a large model
/// would fill the memory. Nothing where the graph cannot run.
fn counted(graph: &Graph, inputs: &[Array], rows: usize) -> Option<Vec<Option<Vec<u64>>>> {
    let mut digests = vec![None; graph.nodes.len()];
    let mut keep = |id: NodeId, value: &Array| {
        if value.shape.first() == Some(&rows) {
            let width = (value.data.len() / rows).max(1);
            digests[id.0] = Some(value.data.chunks(width).map(digest).collect());
        }
    };
    float::run(graph, inputs, &mut keep).ok()?;
    Some(digests)
}

/// A digest of numbers, bit by bit; one NaN is as good as another.
fn digest(row: &[f32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    row.iter().for_each(|v| hasher.write_u32(if v.is_nan() { u32::MAX } else { v.to_bits() }));
    hasher.finish()
}

/// Values that differ from each other, the same in every run.
struct Draw(u64);

impl Draw {
    fn next(&mut self, size: f32) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32 / (1u32 << 23) as f32 - 1.0) * size
    }

    fn array(&mut self, shape: &[usize], size: f32) -> Array {
        let data: Vec<f32> = (0..shape.iter().product()).map(|_| self.next(size)).collect();
        Array { shape: shape.to_vec(), data: data.into() }
    }

    fn with_row(&mut self, array: &Array, rows: usize, row: usize, size: f32) -> Array {
        let width = array.data.len() / rows;
        let mut data = array.data.to_vec();
        data.iter_mut().skip(row * width).take(width).for_each(|v| *v = self.next(size));
        Array { shape: array.shape.clone(), data: data.into() }
    }
}
