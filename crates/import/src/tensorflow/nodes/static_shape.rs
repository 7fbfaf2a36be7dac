//! Values that follow from shapes alone.

use super::{Fault, Node, Results, Row, Value, row};
use crate::docs as doc;
use crate::value::Ints;

pub(super) const TABLE: &[Row] = &[
    row("Shape", shape, doc::KNOWN),
    row("ShapeN", shape, doc::KNOWN),
    row("Size", |n| n.size(), doc::KNOWN),
    row("Rank", rank, doc::KNOWN),
    row("Range", |n| n.counted(), doc::KNOWN),
    row("Fill", fill, doc::KNOWN.note("with one constant")),
    row("ZerosLike", |n| like(n, 0), doc::KNOWN),
    row("OnesLike", |n| like(n, 1), doc::KNOWN),
];

fn shape(node: &mut Node<'_>) -> Results {
    let shapes = (0..node.operands.len()).map(|i| node.shape_of(i));
    let shapes = shapes.collect::<Result<Vec<_>, Fault>>()?;
    Ok(shapes.into_iter().map(|s| Value::Int(Ints::vector(s.iter().map(|&d| d as i64).collect()))).collect())
}

fn rank(node: &mut Node<'_>) -> Results {
    let shape = node.shape_of(0)?;
    Ok(vec![Value::Int(Ints::scalar(shape.len() as i64))])
}

fn fill(node: &mut Node<'_>) -> Results {
    let shape = node.lengths(0)?;
    let value = node.operand(1)?.clone();
    node.filled(shape, &value)
}

fn like(node: &mut Node<'_>, value: i64) -> Results {
    let (operand, shape) = node.shaped(0)?;
    let value = match operand {
        Value::Int(_) => Value::Int(Ints::scalar(value)),
        _ => Value::Tensor(node.add_number("value", value as f32)),
    };
    node.filled(shape, &value)
}
