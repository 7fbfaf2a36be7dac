//! Values that follow from shapes alone.

use super::{Fault, Node, Results, Row, Value, row};
use crate::budget::MAX_GROWN;
use crate::compose::{count_floats, count_integers};
use crate::docs as doc;
use crate::value::Ints;
use crate::value::MAX_KNOWN;
use cryptflow_graph::Array;

/// What is said of a value that is not there to fill a tensor with.
const NOT_ONE: &str =
    "fills a tensor with a value that is not one constant. BroadcastTo repeats what depends on an input";

/// What is said of a count whose ends are not known.
const COUNTS: &str = "counts between numbers that are not known when compiling. If they are inputs of the model, make them constants";

pub(super) const TABLE: &[Row] = &[
    row("Shape", shape, doc::KNOWN),
    row("ShapeN", shape, doc::KNOWN),
    row("Size", size, doc::KNOWN),
    row("Rank", rank, doc::KNOWN),
    row("Range", range, doc::KNOWN),
    row("Fill", fill, doc::KNOWN.note("with one constant")),
    row("ZerosLike", |n| like(n, 0), doc::KNOWN),
    row("OnesLike", |n| like(n, 1), doc::KNOWN),
];

fn shape(node: &mut Node<'_>) -> Results {
    let shapes = (0..node.operands.len()).map(|i| node.shape_of(i));
    let shapes = shapes.collect::<Result<Vec<_>, Fault>>()?;
    Ok(shapes.into_iter().map(|s| Value::Int(Ints::vector(s.iter().map(|&d| d as i64).collect()))).collect())
}

fn size(node: &mut Node<'_>) -> Results {
    let shape = node.shape_of(0)?;
    Ok(vec![Value::Int(Ints::scalar(shape.iter().product::<usize>() as i64))])
}

fn rank(node: &mut Node<'_>) -> Results {
    let shape = node.shape_of(0)?;
    Ok(vec![Value::Int(Ints::scalar(shape.len() as i64))])
}

fn range(node: &mut Node<'_>) -> Results {
    if (0..3).all(|i| matches!(node.operand(i), Ok(Value::Int(_)))) {
        let data = count_integers(node.int(0)?, node.int(1)?, node.int(2)?, MAX_KNOWN)?;
        return Ok(vec![Value::Int(Ints::vector(data))]);
    }
    let known = |i: usize| match node.operand(i)? {
        Value::Tensor(id) => match node.constant_of(*id).map(|a| a.data.as_slice()) {
            Some(&[value]) => Ok(value),
            _ => Err(Fault::from(COUNTS)),
        },
        _ => Err(Fault::from(COUNTS)),
    };
    let data = count_floats(known(0)?, known(1)?, known(2)?, MAX_GROWN)?;
    let name = node.name.clone();
    Ok(vec![Value::Tensor(node.graph.add_constant(name, Array::vector(data)))])
}

fn fill(node: &mut Node<'_>) -> Results {
    let shape = node.lengths(0)?;
    let value = node.operand(1)?.clone();
    filled(node, shape, &value)
}

fn like(node: &mut Node<'_>, value: i64) -> Results {
    let (operand, shape) = node.shaped(0)?;
    let value = match operand {
        Value::Int(_) => Value::Int(Ints::scalar(value)),
        _ => Value::Tensor(node.add_number("value", value as f32)),
    };
    filled(node, shape, &value)
}

fn filled(node: &mut Node<'_>, shape: Vec<usize>, value: &Value) -> Results {
    let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| match value {
        Value::Int(_) => n <= MAX_KNOWN,
        _ => n <= MAX_GROWN,
    });
    let n = n.ok_or_else(|| format!("its result of the shape {shape:?} is too large"))?;
    match value {
        Value::Int(Ints { data, .. }) if data.len() == 1 => {
            Ok(vec![Value::Int(Ints { shape, data: vec![data[0]; n] })])
        }
        Value::Tensor(id) => match node.constant_of(*id).map(|a| a.data.as_slice()) {
            Some(&[value]) => {
                let array = Array::filled(shape, value)?;
                Ok(vec![Value::Tensor(node.add_known(array))])
            }
            _ => Err(NOT_ONE.into()),
        },
        _ => Err(NOT_ONE.into()),
    }
}
