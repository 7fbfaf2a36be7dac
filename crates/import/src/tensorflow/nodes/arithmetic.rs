//! Arithmetic: of floats, and of known integers.

use super::{Node, Results, Row, Value, row};
use crate::docs as doc;
use cryptflow_graph::{Activation, Arithmetic, Op};

pub(super) const TABLE: &[Row] = &[
    row("Add", |n| n.sum(), doc::SUM.note(doc::notes::ADDED)),
    row("AddV2", |n| n.sum(), doc::SUM.note(doc::notes::ADDED)),
    row("AddN", add_n, doc::SUM),
    row("Sub", |n| n.difference(), doc::SUM.note(doc::notes::ADDED)),
    row("Mul", |n| n.product(), doc::PRODUCT.note("a linear map, where one operand is a constant")),
    row("Maximum", maximum, doc::LARGER.note("with zero, a ReLU")),
    row(
        "Minimum",
        minimum,
        doc::LARGER.note("the smaller; of a ReLU and a positive constant, a clipped ReLU"),
    ),
    row("SquaredDifference", squared_difference, doc::SQUARE.note("of the difference")),
    row("Neg", |n| n.negation(), doc::SUM.note("the sign changes")),
    row("Square", square, doc::SQUARE),
];

fn add_n(node: &mut Node<'_>) -> Results {
    let operands = (0..node.operands.len()).map(|i| node.floats(i)).collect::<Result<Vec<_>, _>>()?;
    Ok(vec![Value::Tensor(node.chain(&Arithmetic::Add, &operands, false)?)])
}

/// ReLU where one of them is zero.
fn maximum(node: &mut Node<'_>) -> Results {
    if let Some(known) = node.known_pair(|a, b| Some(a.max(b)))? {
        return Ok(known);
    }
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    for (x, limit) in [(a, b), (b, a)] {
        if node.number_of(limit) == Some(0.0) && node.shape(limit).len() <= node.shape(x).len() {
            return node.result(Activation::Relu, &[x]);
        }
    }
    node.result(Arithmetic::Maximum, &[a, b])
}

/// A clipped ReLU where one is a ReLU and the other a positive constant.
fn minimum(node: &mut Node<'_>) -> Results {
    if let Some(known) = node.known_pair(|a, b| Some(a.min(b)))? {
        return Ok(known);
    }
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    for (x, limit) in [(a, b), (b, a)] {
        if let (Op::Activation(Activation::Relu), Some(limit)) =
            (&node.graph.node(x).op, node.number_of(limit))
            && limit > 0.0
        {
            let x = node.graph.node(x).inputs[0];
            return node.result(Activation::ClippedRelu { limit }, &[x]);
        }
    }
    node.result(Arithmetic::Minimum, &[a, b])
}

fn square(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    node.result(Arithmetic::Mul, &[x, x])
}

fn squared_difference(node: &mut Node<'_>) -> Results {
    let (a, b) = (node.floats(0)?, node.floats(1)?);
    let difference = node.add_part("difference", Arithmetic::Sub, &[a, b])?;
    node.result(Arithmetic::Mul, &[difference, difference])
}
