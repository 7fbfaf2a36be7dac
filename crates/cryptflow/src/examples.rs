//! Examples of inputs, in batches as the graph wants them.

use cryptflow_graph::{Array, Graph, Node, NodeId, OpError};
use cryptflow_program::{Batch, Preprocessing};

use crate::batches::{Batches, Reader};
use crate::input::{InputError, InputSpec, Row};

/// Why there are no examples.
#[derive(Debug, thiserror::Error)]
pub enum ExamplesError {
    /// They cannot be read, or do not go with the inputs.
    #[error(transparent)]
    Input(#[from] InputError),
    /// They make no array of an input.
    #[error(transparent)]
    Array(#[from] OpError),
}

/// Reads at most `most` rows of all inputs, spread evenly over what there is, and puts them
/// together in batches. Where the last batch is not full, rows from the beginning fill it.
///
/// # Errors
/// See [`ExamplesError`].
pub fn read(
    graph: &Graph,
    read: Reader<'_>,
    preprocessing: &Preprocessing,
    most: usize,
    batch: Batch,
) -> Result<Vec<Vec<Array>>, ExamplesError> {
    let nodes: Vec<&Node> = graph.inputs.iter().map(|&id| graph.node(id)).collect();
    let batches = Batches::new(batch, nodes.iter().map(|node| node.shape.as_slice()));
    let spec = |&id: &NodeId| InputSpec {
        factors: Vec::new(),
        name: graph.node(id).name.clone(),
        shape: graph.node(id).shape.clone(),
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
        classes: graph.classes(id),
        preprocessing: preprocessing.clone(),
    };
    let mut columns = batches.read_by(graph.inputs.iter().map(spec).collect(), read)?;
    for column in &mut columns {
        let mut chosen = spread(column.len(), most.max(1)).into_iter();
        column.retain(|_| chosen.next().unwrap_or(false));
    }
    let runs = batches.runs(columns.first().map_or(0, Vec::len));
    let example = |run| {
        let array = |(node, column): (&&Node, &Vec<Row>)| {
            Array::new(node.shape.clone(), batches.fill(run, column)).map_err(ExamplesError::from)
        };
        nodes.iter().zip(&columns).map(array).collect()
    };
    (0..runs).map(example).collect()
}

/// Which of `n` rows to take, at most `most`, evenly spread.
pub fn spread(n: usize, most: usize) -> Vec<bool> {
    let mut chosen = vec![n <= most; n];
    if n > most {
        for i in 0..most {
            chosen[i * n / most] = true;
        }
    }
    chosen
}

/// The range of pixels after the preprocessing, where there is one to speak of.
pub fn pixel_range(p: &Preprocessing) -> Option<(f64, f64)> {
    if p.divide.is_none() && p.mean.is_empty() && p.std.is_empty() {
        return None;
    }
    let divide = p.divide.unwrap_or(1.0);
    let channels = p.mean.len().max(p.std.len()).max(1);
    let mut range = (f64::INFINITY, f64::NEG_INFINITY);
    for c in 0..channels {
        for pixel in [0.0, 255.0] {
            let at = |v: &[f64], otherwise: f64| v.get(c).or(v.first()).copied().unwrap_or(otherwise);
            let v = (pixel / divide - at(&p.mean, 0.0)) / at(&p.std, 1.0);
            range = (range.0.min(v), range.1.max(v));
        }
    }
    Some(range)
}
