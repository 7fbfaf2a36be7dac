//! Values that follow from shapes alone.

use super::matrix::inverse;
use super::{Fault, Node, Results, Row, Value, advice_on, row};
use crate::budget::check_made;
use crate::docs as doc;
use crate::value::{Ints, axis};
use cryptflow_graph::Array;
use cryptflow_graph::operations::broadcast;

pub(super) const TABLE: &[Row] = &[
    row("Shape", shape, doc::KNOWN),
    row("ShapeN", shape, doc::KNOWN),
    row("Size", |n| n.size(), doc::KNOWN),
    row("Rank", rank, doc::KNOWN),
    row("Range", |n| n.counted(), doc::KNOWN),
    row("BroadcastArgs", broadcast_args, doc::KNOWN),
    row("LinSpace", lin_space, doc::KNOWN),
    row("InvertPermutation", invert_permutation, doc::KNOWN),
    row("Cumprod", cumprod, doc::KNOWN.note("of known values")),
    row("MatrixInverse", matrix_inverse, doc::KNOWN.note("of a known matrix")),
    row("MatrixDeterminant", determinant, doc::KNOWN.note("of a known matrix")),
    row("Where", places, doc::KNOWN.note("of known values")),
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

/// The shape that two shapes broadcast to.
fn broadcast_args(node: &mut Node<'_>) -> Results {
    let (a, b) = (node.lengths(0)?, node.lengths(1)?);
    let shape = broadcast(&a, &b).ok_or_else(|| format!("{a:?} and {b:?} do not broadcast"))?;
    Ok(vec![Value::Int(Ints::vector(shape.into_iter().map(|d| d as i64).collect()))])
}

/// Numbers at equal distances, both ends among them.
fn lin_space(node: &mut Node<'_>) -> Results {
    let (start, stop) = (node.known_number(0)?, node.known_number(1)?);
    let n = usize::try_from(node.int(2)?).map_err(|_| "counts a negative number of numbers")?;
    check_made(&[n])?;
    let step = (stop - start) / n.saturating_sub(1).max(1) as f32;
    let mut data: Vec<f32> = (0..n).map(|i| start + step * i as f32).collect();
    if let Some(last) = data.last_mut().filter(|_| n > 1) {
        *last = stop;
    }
    Ok(vec![Value::Tensor(node.add_known(Array::vector(data)))])
}

fn invert_permutation(node: &mut Node<'_>) -> Results {
    let places = node.lengths(0)?;
    let mut inverse = vec![-1; places.len()];
    for (i, &place) in places.iter().enumerate() {
        *inverse.get_mut(place).ok_or("is no permutation")? = i as i64;
    }
    if inverse.contains(&-1) {
        return Err("is no permutation".into());
    }
    Ok(vec![Value::Int(Ints::vector(inverse))])
}

/// Products of all elements up to each along an axis.
fn cumprod(node: &mut Node<'_>) -> Results {
    let array = node.known(0)?;
    let axis = axis(node.int(1)?, array.shape.len())?;
    let (exclusive, reverse) = (node.attr_flag("exclusive", false)?, node.attr_flag("reverse", false)?);
    let (n, inner) = (array.shape[axis], array.shape[axis + 1..].iter().product::<usize>());
    let mut data = array.data.to_vec();
    for first in (0..data.len()).filter(|i| i / inner.max(1) % n.max(1) == 0) {
        let mut product = 1.0;
        for step in 0..n {
            let at = first + inner * if reverse { n - 1 - step } else { step };
            let before = product;
            product *= data[at];
            data[at] = if exclusive { before } else { product };
        }
    }
    let result = Array::new(array.shape, data)?;
    Ok(vec![match node.operand(0)? {
        Value::Int(_) => Value::Int(Ints::cut_off(&result)),
        _ => Value::Tensor(node.add_known(result)),
    }])
}

fn matrix_inverse(node: &mut Node<'_>) -> Results {
    let matrix = node.known(0)?;
    let n = matrix.shape.last().copied().unwrap_or(1);
    node.budget.take_work(matrix.data.len().saturating_mul(2 * n))?;
    let (mut inverse, _) = inverse(&matrix)?;
    if inverse.len() != matrix.data.len() {
        return Err("inverts a matrix that has no inverse".into());
    }
    if node.attr_flag("adjoint", false)? {
        inverse = (0..n * n).map(|i| inverse[i % n * n + i / n]).collect();
    }
    let array = Array::new(matrix.shape, inverse.into_iter().map(|v| v as f32).collect())?;
    Ok(vec![Value::Tensor(node.add_known(array))])
}

fn determinant(node: &mut Node<'_>) -> Results {
    let matrix = node.known(0)?;
    let n = matrix.shape.last().copied().unwrap_or(1);
    node.budget.take_work(matrix.data.len().saturating_mul(2 * n))?;
    let (_, determinant) = inverse(&matrix)?;
    Ok(vec![Value::Tensor(node.add_known(Array::scalar(determinant as f32)))])
}

/// The places of known values that are not zero, one row each.
fn places(node: &mut Node<'_>) -> Results {
    let depends = matches!(node.operand(0)?, Value::Tensor(id) if node.constant_of(*id).is_none());
    if depends {
        return Err(advice_on("Where").into());
    }
    let values = node.known(0)?;
    let rank = values.shape.len();
    let found: Vec<usize> = (0..values.data.len()).filter(|&i| values.data[i] != 0.0).collect();
    let along = |at: usize, axis: usize| {
        let inner: usize = values.shape[axis + 1..].iter().product();
        (at / inner % values.shape[axis]) as i64
    };
    let data = found.iter().flat_map(|&at| (0..rank).map(move |axis| along(at, axis))).collect();
    Ok(vec![Value::Int(Ints { shape: vec![found.len(), rank], data })])
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
