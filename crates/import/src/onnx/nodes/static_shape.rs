//! Values that follow from shapes alone, or from other known values.

use super::{Gives, Kind, Node, Results, Row, Value, row};
use crate::budget::{MAX_GROWN, check_made};
use crate::compose::{count_floats, count_integers};
use crate::docs as doc;
use crate::onnx::messages::DataType;
use crate::onnx::tensor::read_constant;
use crate::tensor::Constant;
use crate::value::{Ints, MAX_ELEMENTS, axis};
use cryptflow_graph::Array;

/// Results of integers are known, so that what a row gives is said of its floats.
pub(super) const TABLE: &[Row] = &[
    row("Shape", shape, doc::KNOWN),
    row("Size", size, doc::KNOWN),
    row("ConstantOfShape", filled, doc::KNOWN).gives(Gives::All(Kind::Float)),
    row("Range", range, doc::KNOWN).gives(Gives::All(Kind::Float)),
    row("EyeLike", identity_matrix, doc::KNOWN).gives(Gives::All(Kind::Float)),
    row("OneHot", one_hot, doc::KNOWN.note("of known indices")).gives(Gives::Like(2)),
    row("NonZero", non_zero, doc::KNOWN.note("of known values")),
];

fn shape(node: &mut Node<'_>) -> Results {
    let shape: Vec<i64> = node.shape_of(0)?.iter().map(|&d| d as i64).collect();
    let rank = shape.len() as i64;
    let place = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    let (start, end) = (place(node.attr_int("start", 0)?), place(node.attr_int("end", rank)?));
    Ok(vec![Value::Int(Ints::vector(shape.get(start..end).unwrap_or(&[]).to_vec()))])
}

fn size(node: &mut Node<'_>) -> Results {
    let shape = node.shape_of(0)?;
    Ok(vec![Value::Int(Ints::scalar(shape.iter().product::<usize>() as i64))])
}

fn filled(node: &mut Node<'_>) -> Results {
    let shape = node.lengths(0)?;
    let n = check_made(&shape)?;
    let value = match node.attr_tensor("value")? {
        Some(message) => read_constant(message, node.message.folder)?,
        None => Constant::Float(Array::vector(vec![0.0])),
    };
    Ok(vec![match value {
        Constant::Float(a) if a.data.len() == 1 => {
            let array = Array::filled(shape, a.data[0])?;
            Value::Tensor(node.add_known(array))
        }
        Constant::Int(i) if i.data.len() == 1 => Value::Int(Ints { shape, data: vec![i.data[0]; n] }),
        _ => return Err(Node::wrong("value")),
    }])
}

fn range(node: &mut Node<'_>) -> Results {
    if (0..3).all(|i| matches!(node.operand(i), Ok(Value::Int(_)))) {
        let data = count_integers(node.int(0)?, node.int(1)?, node.int(2)?, MAX_GROWN)?;
        return Ok(vec![Value::Int(Ints::vector(data))]);
    }
    let (start, limit, step) = (node.known_number(0)?, node.known_number(1)?, node.known_number(2)?);
    let data = count_floats(start, limit, step, MAX_GROWN)?;
    Ok(vec![Value::Tensor(node.add_known(Array::vector(data)))])
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
        Some(DataType::Undefined) | None => node.kind(0) == Kind::Float,
        Some(t) => t.is_float(),
    };
    if !float {
        return Ok(vec![Value::Int(ints)]);
    }
    let value = node.tensor_of(&Value::Int(ints), "identity")?;
    Ok(vec![Value::Tensor(value)])
}

/// Of known indices: the values "off" and "on", the latter at each index along a new axis.
fn one_hot(node: &mut Node<'_>) -> Results {
    let indices = node.ints(0)?;
    let depth = usize::try_from(node.int(1)?).ok().filter(|&d| d <= MAX_ELEMENTS);
    let depth = depth.ok_or("has an impossible depth")?;
    let values = node.known(2)?;
    let &[off, on] = values.data.as_slice() else {
        return Err(format!("has {} values; two are needed, off and on", values.data.len()).into());
    };
    let at = axis(node.attr_int("axis", -1)?, indices.shape.len() + 1)?;
    let mut shape = indices.shape.clone();
    shape.insert(at, depth);
    let n = check_made(&shape)?;
    let inner: usize = indices.shape[at..].iter().product();
    let mut data = vec![off; n];
    for (i, &index) in indices.data.iter().enumerate() {
        let index = if index < 0 { index.saturating_add(depth as i64) } else { index };
        if let Some(index) = usize::try_from(index).ok().filter(|&i| i < depth) {
            data[(i / inner * depth + index) * inner + i % inner] = on;
        }
    }
    let integers = matches!(node.operand(2)?, Value::Int(_));
    if integers {
        let data = data.iter().map(|&v| v as i64).collect();
        return Ok(vec![Value::Int(Ints { shape, data })]);
    }
    Ok(vec![Value::Tensor(node.add_known(Array::new(shape, data)?))])
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
