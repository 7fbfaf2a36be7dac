//! Gradients: how much a weighted sum of some values changes with each element of every value that
//! they come from. A graph is run forwards, and then walked backwards.
//!
//! A family's file in `gradient/` says what its operations make of the gradient of their result.
//! Where a function bends or jumps, the gradient is that of a smooth part beside it. Gradients are
//! finite, whatever the values are: what is endless is the largest float, and what is not a number
//! is zero.

mod activation;
mod arithmetic;
mod conv;
mod function;
mod linear;
mod movement;
mod order;
mod places;
mod pool;
mod reduce;

use std::sync::Arc;

use crate::float::{FloatError, run};
use crate::graph::{Array, Graph, NodeId};
use crate::operations::{Op, OpError, operands};

/// Runs the graph on `inputs`, then walks it backwards from the nodes in `starts`, each with the
/// gradient that it has of its own: an array of its value's shape. A node may start several times.
///
/// `observe` sees every node that is no constant and that one of `starts` is or depends on, in the
/// reverse order of the graph, with its value and its gradient: the sum of `start · ∂value_of_start
/// / ∂value` over all starts.
///
/// All values are kept until the walk has passed them; a gradient is freed once it is handed on.
///
/// # Errors
/// As [`run`], and where a start does not fit the graph.
pub fn backward(
    graph: &Graph,
    inputs: &[Array],
    starts: &[(NodeId, Array)],
    observe: &mut dyn FnMut(NodeId, &Array, &Array),
) -> Result<(), FloatError> {
    walk(graph, inputs, starts, observe, None)
}

/// The same, which looks at weights, too: `of_weights` sees every constant that a linear layer multiplies its
/// operand with, for each such layer, and the gradient towards it. It takes half as much again.
///
/// # Errors
/// As [`backward`].
pub fn backward_to_weights(
    graph: &Graph,
    inputs: &[Array],
    starts: &[(NodeId, Array)],
    observe: &mut dyn FnMut(NodeId, &Array, &Array),
    of_weights: &mut dyn FnMut(NodeId, &Array),
) -> Result<(), FloatError> {
    walk(graph, inputs, starts, observe, Some(of_weights))
}

fn walk(
    graph: &Graph,
    inputs: &[Array],
    starts: &[(NodeId, Array)],
    observe: &mut dyn FnMut(NodeId, &Array, &Array),
    mut of_weights: Option<&mut dyn FnMut(NodeId, &Array)>,
) -> Result<(), FloatError> {
    let mut gradients: Vec<Option<Array>> = vec![None; graph.nodes.len()];
    for (id, start) in starts {
        let Some(node) = graph.nodes.get(id.0) else {
            return Err(FloatError::NoNode { index: id.0, nodes: graph.nodes.len() });
        };
        if node.shape != start.shape {
            return Err(FloatError::GradientShape {
                node: node.name.clone(),
                expected: node.shape.clone(),
                given: start.shape.clone(),
            });
        }
        add(&mut gradients[id.0], start.clone());
    }
    let mut values: Vec<Option<Array>> = vec![None; graph.nodes.len()];
    run(graph, inputs, &mut |id, value| values[id.0] = Some(value.clone()))?;
    let needed = graph.needed_by(starts.iter().map(|(id, _)| *id).collect());
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if !needed[i] || graph.constant(NodeId(i)).is_some() {
            continue;
        }
        let order = || FloatError::Order { node: node.name.clone() };
        let operation = |source| FloatError::Operation { node: node.name.clone(), source };
        let value = values[i].take().ok_or_else(order)?;
        let gradient = gradients[i].take();
        if let Some(gradient) = &gradient {
            let operands: Option<Vec<&Array>> = node.inputs.iter().map(|id| values[id.0].as_ref()).collect();
            let step = Step { operands: &operands.ok_or_else(order)?, result: &value, gradient };
            for (operand, &id) in node.inputs.iter().enumerate() {
                if graph.constant(id).is_none() {
                    let part = towards(&node.op, &step, operand).map_err(operation)?;
                    part.into_iter().for_each(|part| add(&mut gradients[id.0], part));
                } else if let (Some(of_weights), Op::Linear(_), 0 | 1) = (&mut of_weights, &node.op, operand)
                {
                    let part = towards(&node.op, &step, operand).map_err(operation)?;
                    part.into_iter().for_each(|part| of_weights(id, &part));
                }
            }
        }
        // Nothing that a start depends on changes with it.
        let zero = || Array::filled(value.shape.clone(), 0.0).map_err(operation);
        let gradient = gradient.map_or_else(zero, Ok)?;
        observe(NodeId(i), &value, &gradient);
    }
    Ok(())
}

/// One node on the way back.
struct Step<'a> {
    /// The values of its operands, as many as the operation takes: it was evaluated on them.
    operands: &'a [&'a Array],
    /// Its value.
    result: &'a Array,
    /// Its gradient.
    gradient: &'a Array,
}

impl Step<'_> {
    /// The operand of an operation that has one.
    fn only(&self, op: &'static str) -> Result<&Array, OpError> {
        let [x] = operands(op, "one", self.operands)?;
        Ok(x)
    }
}

/// What a node's gradient is for one of its operands. Nothing where it is zero everywhere.
fn towards(op: &Op, step: &Step<'_>, operand: usize) -> Result<Option<Array>, OpError> {
    match op {
        // They have no operands.
        Op::Input | Op::Constant(_) => Ok(None),
        Op::Identity => Ok(Some(step.gradient.clone())),
        Op::Linear(linear) => linear::towards(linear, step, operand).map(Some),
        Op::Arithmetic(arithmetic) => arithmetic::towards(arithmetic, step, operand),
        Op::Function(function) => function::towards(function, step).map(Some),
        Op::Activation(activation) => activation::towards(activation, step, operand),
        Op::Pool(pool) => pool::towards(pool, step).map(Some),
        Op::Reduce(reduce) => reduce::towards(reduce, step).map(Some),
        Op::Order(order) => order::towards(order, step),
        Op::Movement(movement) => movement::towards(movement, step, operand).map(Some),
    }
}

/// Adds to what there is of a gradient.
fn add(so_far: &mut Option<Array>, part: Array) {
    match so_far {
        Some(sum) => {
            let sums = Arc::make_mut(&mut sum.data).iter_mut();
            sums.zip(part.data.iter()).for_each(|(sum, &part)| *sum = finite(*sum + finite(part)));
        }
        None => {
            let mut part = part;
            // Looked at first, since elements may be shared; at all of them, which is faster than to
            // ask after each.
            if !part.data.iter().fold(true, |all, v| all & v.is_finite()) {
                Arc::make_mut(&mut part.data).iter_mut().for_each(|v| *v = finite(*v));
            }
            *so_far = Some(part);
        }
    }
}

/// The nearest finite number; zero for what is none.
fn finite(v: f32) -> f32 {
    if v.is_nan() { 0.0 } else { v.clamp(f32::MIN, f32::MAX) }
}
