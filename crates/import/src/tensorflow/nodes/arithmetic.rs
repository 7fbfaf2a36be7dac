//! Arithmetic: of floats, and of known integers.

use super::{Fault, Import, Node, Results, Table, Value};
use crate::docs as doc;
use cryptflow_graph::{Activation, Arithmetic, Array, NodeId, Op};

pub(super) const TABLE: Table = &[
    ("Add", add, doc::SUM.note(doc::notes::ADDED)),
    ("AddV2", add, doc::SUM.note(doc::notes::ADDED)),
    ("AddN", add_n, doc::SUM),
    ("Sub", sub, doc::SUM.note(doc::notes::ADDED)),
    ("Mul", mul, doc::PRODUCT.note("a linear map, where one operand is a constant")),
    ("Maximum", maximum, doc::LARGER.note("with zero, a ReLU")),
    ("Minimum", minimum, doc::LARGER.note("the smaller; of a ReLU and a positive constant, a clipped ReLU")),
    ("SquaredDifference", squared_difference, doc::SQUARE.note("of the difference")),
    ("Neg", neg, doc::SUM.note("the sign changes")),
    ("Square", square as Import, doc::SQUARE),
];

fn add(node: &mut Node<'_>) -> Results {
    if let Some(ints) = integers(node, |a, b| Some(a.wrapping_add(b)))? {
        return Ok(ints);
    }
    binary(node, Arithmetic::Add)
}

fn sub(node: &mut Node<'_>) -> Results {
    if let Some(ints) = integers(node, |a, b| Some(a.wrapping_sub(b)))? {
        return Ok(ints);
    }
    binary(node, Arithmetic::Sub)
}

fn mul(node: &mut Node<'_>) -> Results {
    if let Some(ints) = integers(node, |a, b| Some(a.wrapping_mul(b)))? {
        return Ok(ints);
    }
    binary(node, Arithmetic::Mul)
}

pub(super) fn binary(node: &mut Node<'_>, op: impl Into<Op>) -> Results {
    let operands = [node.tensor(0)?, node.tensor(1)?];
    Ok(vec![Value::Tensor(node.add(op, &operands)?)])
}

fn add_n(node: &mut Node<'_>) -> Results {
    let operands = (0..node.operands.len()).map(|i| node.tensor(i)).collect::<Result<Vec<_>, _>>()?;
    let Some((&first, rest)) = operands.split_first() else {
        return Err("has no operands: the file is damaged".into());
    };
    let mut sum = first;
    for (i, &operand) in rest.iter().enumerate() {
        let last = i + 1 == rest.len();
        sum = if last {
            node.add(Arithmetic::Add, &[sum, operand])?
        } else {
            node.add_part(&i.to_string(), Arithmetic::Add, &[sum, operand])?
        };
    }
    Ok(vec![Value::Tensor(sum)])
}

/// ReLU where one of them is zero.
fn maximum(node: &mut Node<'_>) -> Results {
    if let Some(ints) = integers(node, |a, b| Some(a.max(b)))? {
        return Ok(ints);
    }
    let (a, b) = (node.number(0)?, node.number(1)?);
    for (x, limit) in [(a, b), (b, a)] {
        if scalar(node, limit) == Some(0.0) && node.shape(limit).len() <= node.shape(x).len() {
            return Ok(vec![Value::Tensor(node.add(Activation::Relu, &[x])?)]);
        }
    }
    Ok(vec![Value::Tensor(node.add(Arithmetic::Maximum, &[a, b])?)])
}

/// A clipped ReLU where one is a ReLU and the other a positive constant.
fn minimum(node: &mut Node<'_>) -> Results {
    if let Some(ints) = integers(node, |a, b| Some(a.min(b)))? {
        return Ok(ints);
    }
    let (a, b) = (node.number(0)?, node.number(1)?);
    for (x, limit) in [(a, b), (b, a)] {
        if let (Op::Activation(Activation::Relu), Some(limit)) = (&node.graph.node(x).op, scalar(node, limit))
            && limit > 0.0
        {
            let x = node.graph.node(x).inputs[0];
            return Ok(vec![Value::Tensor(node.add(Activation::ClippedRelu { limit }, &[x])?)]);
        }
    }
    Ok(vec![Value::Tensor(node.add(Arithmetic::Minimum, &[a, b])?)])
}

/// The number that a constant of one element holds.
pub(super) fn scalar(node: &Node<'_>, id: NodeId) -> Option<f32> {
    match node.constant_of(id)?.data.as_slice() {
        [value] => Some(*value),
        _ => None,
    }
}

fn neg(node: &mut Node<'_>) -> Results {
    if let Value::Int(ints) = node.operand(0)? {
        return Ok(vec![Value::Int(ints.map(i64::wrapping_neg))]);
    }
    let x = node.tensor(0)?;
    let minus_one = node.add_constant("minus_one", Array::scalar(-1.0));
    Ok(vec![Value::Tensor(node.add(Arithmetic::Mul, &[x, minus_one])?)])
}

fn square(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    Ok(vec![Value::Tensor(node.add(Arithmetic::Mul, &[x, x])?)])
}

fn squared_difference(node: &mut Node<'_>) -> Results {
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    let difference = node.add_part("difference", Arithmetic::Sub, &[a, b])?;
    Ok(vec![Value::Tensor(node.add(Arithmetic::Mul, &[difference, difference])?)])
}

/// Arithmetic of two tensors of known integers, broadcasting. Nothing where an operand depends on an input: known integers
/// beside it become floats.
pub(super) fn integers(
    node: &mut Node<'_>,
    f: impl Fn(i64, i64) -> Option<i64>,
) -> Result<Option<Vec<Value>>, Fault> {
    if let (Value::Int(a), Value::Int(b)) = (node.operand(0)?, node.operand(1)?) {
        return Ok(Some(vec![Value::Int(a.with(b, f)?)]));
    }
    node.integers_to_floats()?;
    Ok(None)
}
