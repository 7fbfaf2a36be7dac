//! Values that follow from shapes alone, or from other known values.

use super::gather::ids;
use super::{Gives, Node, Number, Results, Row, Value, row};
use crate::budget::check_made;
use crate::docs as doc;
use crate::onnx::messages::DataType;
use crate::onnx::tensor::read_constant;
use crate::tensor::Constant;
use crate::value::Ints;

/// Results of integers are known, so that what a row gives is said of its floats.
pub(super) const TABLE: &[Row] = &[
    row("Shape", shape, doc::KNOWN),
    row("Size", |n| n.size(), doc::KNOWN),
    row("ConstantOfShape", filled, doc::KNOWN).gives(Gives::All(Number::Float)),
    row("Range", |n| n.counted(), doc::KNOWN).gives(Gives::All(Number::Float)),
    row("EyeLike", identity_matrix, doc::KNOWN).gives(Gives::All(Number::Float)),
    row("OneHot", one_hot, doc::COMPARISON.note(doc::notes::ONE_HOT)).gives(Gives::Like(2)),
    row("NonZero", non_zero, doc::KNOWN.note("of known values")),
];

fn shape(node: &mut Node<'_>) -> Results {
    let shape: Vec<i64> = node.shape_of(0)?.iter().map(|&d| d as i64).collect();
    let rank = shape.len() as i64;
    let place = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    let (start, end) = (place(node.attr_int("start", 0)?), place(node.attr_int("end", rank)?));
    Ok(vec![Value::Int(Ints::vector(shape.get(start..end).unwrap_or(&[]).to_vec()))])
}

fn filled(node: &mut Node<'_>) -> Results {
    let shape = node.lengths(0)?;
    let value = match node.attr_tensor("value")? {
        Some(message) => match read_constant(message, node.message.folder)? {
            Constant::Float(a) => Value::Tensor(node.add_constant("value", a)),
            Constant::Int(ints) => Value::Int(ints),
            Constant::Opaque(_) => return Err(Node::wrong("value")),
        },
        None => Value::Tensor(node.add_number("value", 0.0)),
    };
    node.filled(shape, &value)
}

/// The identity matrix in the shape of the operand.
fn identity_matrix(node: &mut Node<'_>) -> Results {
    let shape = node.shape_of(0)?;
    let &[rows, columns] = shape.as_slice() else {
        return Err(format!("makes an identity matrix of the shape {shape:?}").into());
    };
    check_made(&shape)?;
    let k = node.attr_int("k", 0)?;
    let data =
        (0..rows * columns).map(|i| i64::from((i % columns) as i64 - (i / columns) as i64 == k)).collect();
    let ints = Ints { shape, data };
    let asked = i32::try_from(node.attr_int("dtype", 0)?).ok().and_then(|t| DataType::try_from(t).ok());
    let float = match asked {
        Some(DataType::Undefined) | None => node.number(0) == Number::Float,
        Some(t) => t.is_float(),
    };
    if !float {
        return Ok(vec![Value::Int(ints)]);
    }
    let value = node.tensor_of(&Value::Int(ints), "identity")?;
    Ok(vec![Value::Tensor(value)])
}

/// Negative indices count from the end.
fn one_hot(node: &mut Node<'_>) -> Results {
    let depth = node.int(1)?;
    if let Some(ids) = ids(node, 0) {
        let values = node.known(2)?;
        let [off, on] =
            <[f32; 2]>::try_from(values.data.as_slice()).map_err(|_| "needs two values, off and on")?;
        return node.one_hot_of(ids, [off, on]);
    }
    let indices = node.ints(0)?.map(|i| if i < 0 { i.saturating_add(depth) } else { i });
    let (values, shape) = node.shaped(2)?;
    if shape != [2] {
        return Err(format!("has values of the shape {shape:?}; two are needed, off and on").into());
    }
    node.one_hot(&indices, &values)
}

/// The places of known values that are not zero, one column each.
fn non_zero(node: &mut Node<'_>) -> Results {
    let values = node.known(0)?;
    let places: Vec<usize> = (0..values.data.len()).filter(|&i| values.data[i] != 0.0).collect();
    let rank = values.shape.len();
    let mut data = Vec::with_capacity(rank * places.len());
    for axis in 0..rank {
        let inner: usize = values.shape[axis + 1..].iter().product();
        data.extend(places.iter().map(|p| (p / inner % values.shape[axis]) as i64));
    }
    Ok(vec![Value::Int(Ints { shape: vec![rank, places.len()], data })])
}
