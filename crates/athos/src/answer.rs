//! What a client makes of an opened output, and what its numbers say.

use cryptflow_graph::{Activation, Arithmetic, Array, Function, Graph, Node, NodeId, Op, OpError, Order};
use cryptflow_program::{Output, OutputTransform, Value};
use cryptflow_ring::Movement;
use serde::{Deserialize, Serialize};

use crate::fix::units::exp2;

/// The numbers that opened integers at this scale stand for, to so many fractional bits: to all where
/// there are fewer, or none is said.
pub fn decoded(opened: &[i64], scale: u32, digits: Option<u32>) -> Vec<f64> {
    match digits.filter(|&digits| digits < scale) {
        Some(digits) => {
            let (dropped, unit) = (exp2(scale - digits), exp2(digits));
            opened.iter().map(|&v| (v as f64 / dropped).round() / unit).collect()
        }
        None => {
            let unit = exp2(scale);
            opened.iter().map(|&v| v as f64 / unit).collect()
        }
    }
}

/// The numbers of an output, of the opened integers of its value: rounded to what means something, and what
/// counts as the first of a row is as large as that.
pub fn numbers(output: &Output, value: &Value, opened: &[i64]) -> Vec<f64> {
    let mut numbers = decoded(opened, value.scale, output.digits);
    let (axis, largest) = match output.transform {
        Some(OutputTransform::ArgMax) => (value.shape.len().saturating_sub(1), true),
        Some(OutputTransform::TopK { axis, largest, .. }) => (axis, largest),
        Some(OutputTransform::Softmax | OutputTransform::Class { .. }) | None => return numbers,
    };
    let within = output.equal as f64 / exp2(value.scale);
    let (Some(&count), true) = (value.shape.get(axis), within > 0.0) else { return numbers };
    let after: usize = value.shape.iter().skip(axis + 1).product();
    let sign = if largest { 1.0 } else { -1.0 };
    for start in (0..numbers.len()).filter(|at| after > 0 && (at / after).is_multiple_of(count)) {
        let row = || (start..).step_by(after).take(count);
        let first =
            row().filter_map(|at| numbers.get(at)).map(|v| v * sign).fold(f64::NEG_INFINITY, f64::max);
        for at in row() {
            if let Some(number) = numbers.get_mut(at).filter(|v| **v * sign >= first - within) {
                *number = first * sign;
            }
        }
    }
    numbers
}

/// The output of the model itself, of what is opened of it: softmax, arg-max and top-k applied.
///
/// # Errors
/// An opened value that does not go with the transform.
pub fn answer(transform: Option<OutputTransform>, opened: Array) -> Result<Array, OpError> {
    let op = match transform {
        None | Some(OutputTransform::Class { .. }) => return Ok(opened),
        Some(OutputTransform::Softmax) => Op::Activation(Activation::Softmax),
        Some(OutputTransform::ArgMax) => {
            Op::Order(Order::ArgMax { axis: opened.shape.len().saturating_sub(1) })
        }
        Some(OutputTransform::TopK { axis, k, largest, indices }) => {
            Op::Order(Order::TopK { axis, k, largest, indices })
        }
    };
    op.evaluate(&[&opened])
}

/// What the numbers of an output say, as far as the model itself tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// They are numbers: amounts, coordinates, logits.
    #[default]
    Numbers,
    /// Each is a probability by itself, as a sigmoid gives it.
    Probabilities,
    /// Those along the last axis are the probabilities of classes, of which one is right: a
    /// softmax.
    Distribution,
    /// They are indices of something.
    Indices,
    /// They are 0 or 1: the answers to a comparison.
    Flags,
}

impl Meaning {
    /// Of each output of a graph.
    pub fn of_outputs(graph: &Graph) -> Vec<Meaning> {
        graph.outputs.iter().map(|&id| Meaning::of(graph, id)).collect()
    }

    fn of(graph: &Graph, id: NodeId) -> Meaning {
        let Node { op, inputs, shape, .. } = graph.node(id);
        match op {
            Op::Function(function) if is_sigmoid(*function) => Meaning::Probabilities,
            Op::Activation(Activation::Softmax | Activation::MaskedSoftmax) => Meaning::Distribution,
            Op::Order(Order::ArgMax { .. } | Order::TopK { indices: true, .. }) => Meaning::Indices,
            Op::Arithmetic(Arithmetic::Compare(_)) | Op::Order(Order::OneHot { .. }) => Meaning::Flags,
            // The k best of several numbers, the same numbers elsewhere.
            Op::Order(Order::TopK { indices: false, .. }) => {
                inputs.first().map_or(Meaning::Numbers, |&x| Meaning::of(graph, x).apart())
            }
            Op::Identity => inputs.first().map_or(Meaning::Numbers, |&x| Meaning::of(graph, x)),
            Op::Movement(movement) => match *inputs.as_slice() {
                [x] if keeps_last_axis(movement, &graph.node(x).shape, shape) => Meaning::of(graph, x),
                [x] => Meaning::of(graph, x).apart(),
                _ => Meaning::Numbers,
            },
            // Whatever else is computed is a number, and nothing more is known of it.
            Op::Input
            | Op::Constant(_)
            | Op::Linear(_)
            | Op::Arithmetic(_)
            | Op::Function(_)
            | Op::Activation(_)
            | Op::Pool(_)
            | Op::Reduce(_) => Meaning::Numbers,
        }
    }

    /// Of the same numbers, where they do not stand together any more.
    fn apart(self) -> Meaning {
        if self == Meaning::Distribution { Meaning::Probabilities } else { self }
    }
}

fn is_sigmoid(function: Function) -> bool {
    let title = function.entry().title;
    [Function::SIGMOID, Function::hard_sigmoid(0.0, 0.0)].iter().any(|known| known.entry().title == title)
}

/// Whether what stands along the last axis still does, all of it.
fn keeps_last_axis(movement: &Movement, before: &[usize], after: &[usize]) -> bool {
    match movement {
        Movement::Reshape { .. } => before.last() == after.last(),
        Movement::Transpose { permutation } => permutation.last() == Some(&(before.len().saturating_sub(1))),
        // Parts of rows, or rows in another order within.
        Movement::Pad { .. }
        | Movement::Slice { .. }
        | Movement::Concat { .. }
        | Movement::Broadcast { .. }
        | Movement::Gather { .. } => false,
    }
}
