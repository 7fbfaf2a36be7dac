//! Movements of elements, of floats and of known integers alike.

use cryptflow_ring::Movement;

use super::{Fault, Import, Node, Results, Table, Value, blocks, slice};
use crate::docs as doc;
use crate::tensorflow::tensor::Ints;
use crate::value::fits;
use cryptflow_graph::{Arithmetic, Array, Op};

pub(super) const TABLE: Table = &[
    ("Reshape", reshape, doc::MOVEMENT),
    ("Squeeze", squeeze, doc::MOVEMENT),
    ("ExpandDims", expand_dims, doc::MOVEMENT),
    ("Transpose", transpose, doc::MOVEMENT),
    ("Pad", pad, doc::MOVEMENT),
    ("PadV2", pad, doc::MOVEMENT.note("with one constant")),
    ("MirrorPad", mirror_pad, doc::MOVEMENT),
    ("ConcatV2", concat_v2, doc::MOVEMENT),
    ("Concat", concat_v1, doc::MOVEMENT),
    ("Pack", pack, doc::MOVEMENT),
    ("Tile", tile, doc::MOVEMENT),
    ("BroadcastTo", broadcast_to, doc::MOVEMENT),
    ("Slice", slice::slice, doc::MOVEMENT),
    ("StridedSlice", slice::strided, doc::MOVEMENT),
    ("Split", slice::split, doc::MOVEMENT),
    ("SplitV", slice::split_sizes, doc::MOVEMENT),
    ("Unpack", slice::unpack, doc::MOVEMENT),
    ("ReverseV2", slice::reverse, doc::MOVEMENT),
    ("DepthToSpace", blocks::depth_to_space, doc::MOVEMENT.note("with channels last only (NHWC)")),
    ("SpaceToDepth", blocks::space_to_depth, doc::MOVEMENT.note("with channels last only (NHWC)")),
    ("SpaceToBatchND", blocks::space_to_batch, doc::MOVEMENT),
    ("BatchToSpaceND", blocks::batch_to_space as Import, doc::MOVEMENT),
];

fn reshape(node: &mut Node<'_>) -> Results {
    let value = node.operand(0)?.clone();
    let from = node.shape_of(&value)?;
    let asked = node.ints(1)?.data.clone();
    let shape = crate::value::reshaped(&from, &asked)?;
    Ok(vec![node.moved(Movement::Reshape { shape }, &value)?])
}

fn squeeze(node: &mut Node<'_>) -> Results {
    let value = node.operand(0)?.clone();
    let from = node.shape_of(&value)?;
    let axes = node.attr_ints("squeeze_dims")?;
    let axes = axes.iter().map(|&a| node.axis(a, from.len())).collect::<Result<Vec<_>, _>>()?;
    if let Some(axis) = axes.iter().find(|&&a| from[a] != 1) {
        return Err(format!("drops axis {axis} of {from:?}, which is longer than 1").into());
    }
    let keep = |(i, d): (usize, &usize)| {
        let dropped = if axes.is_empty() { *d == 1 } else { axes.contains(&i) };
        (!dropped).then_some(*d)
    };
    let shape = from.iter().enumerate().filter_map(keep).collect();
    Ok(vec![node.moved(Movement::Reshape { shape }, &value)?])
}

fn expand_dims(node: &mut Node<'_>) -> Results {
    let value = node.operand(0)?.clone();
    let mut shape = node.shape_of(&value)?;
    let axis = node.axis(node.int(1)?, shape.len() + 1)?;
    shape.insert(axis, 1);
    Ok(vec![node.moved(Movement::Reshape { shape }, &value)?])
}

fn transpose(node: &mut Node<'_>) -> Results {
    let value = node.operand(0)?.clone();
    let rank = node.shape_of(&value)?.len();
    let permutation = node.ints(1)?.data.iter().map(|&a| node.axis(a, rank)).collect::<Result<_, _>>()?;
    Ok(vec![node.moved(Movement::Transpose { permutation }, &value)?])
}

/// Pairs of lengths, one pair an axis.
pub(super) fn pairs(node: &Node<'_>, i: usize, rank: usize) -> Result<(Vec<usize>, Vec<usize>), Fault> {
    let lengths = node.lengths(i)?;
    let (pairs, rest) = lengths.as_chunks::<2>();
    if pairs.len() != rank || !rest.is_empty() {
        return Err(format!(
            "operand {i} must have a pair of lengths for each of {rank} axes, not {lengths:?}"
        )
        .into());
    }
    Ok(pairs.iter().map(|p| (p[0], p[1])).unzip())
}

/// Zeros around the operand; another constant is added to the zeros where they are.
fn pad(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let from = node.shape(x).to_vec();
    let (before, after) = pairs(node, 1, from.len())?;
    let value = match node.operands.len() {
        2 => 0.0,
        _ => match node.constant_of(node.tensor(2)?).map(|a| a.data.as_slice()) {
            Some(&[value]) => value,
            _ => return Err("pads with a value that is not one constant".into()),
        },
    };
    let pad = Op::Movement(Movement::Pad { before, after });
    if value == 0.0 {
        return Ok(vec![Value::Tensor(node.add(pad, &[x])?)]);
    }
    let padded = fits(&pad.shape(&[&from])?)?;
    node.room.compute(&pad, &[], padded)?;
    let inside = Array::filled(from, 1.0)?;
    let mask = pad.evaluate(&[&inside])?;
    let border = mask.data.iter().map(|&m| if m == 0.0 { value } else { 0.0 }).collect();
    let border = node.add_constant("border", Array::new(mask.shape, border)?);
    let padded = node.add_part("zeros", pad, &[x])?;
    Ok(vec![Value::Tensor(node.add(Arithmetic::Add, &[padded, border])?)])
}

/// Borders that mirror the operand, axis by axis.
fn mirror_pad(node: &mut Node<'_>) -> Results {
    let mut x = node.tensor(0)?;
    let rank = node.shape(x).len();
    let (before, after) = pairs(node, 1, rank)?;
    // REFLECT leaves the edge itself out.
    let skip = usize::from(node.attr_str("mode", "REFLECT")? == "REFLECT");
    for axis in 0..rank {
        let shape = node.shape(x).to_vec();
        let (b, a, n) = (before[axis], after[axis], shape[axis]);
        if b == 0 && a == 0 {
            continue;
        }
        if b + skip > n || a + skip > n {
            return Err(format!("mirrors {b} and {a} elements of an axis of {n}: too many").into());
        }
        let mut parts = Vec::new();
        for (name, first, size) in
            [("before", (b + skip).saturating_sub(1), b), ("after", (n - skip).saturating_sub(1), a)]
        {
            if name == "after" {
                parts.push(x);
            }
            if size > 0 {
                let op = slice::along(&shape, axis, first, size, -1);
                parts.push(node.add_part(&format!("{name}_{axis}"), op, &[x])?);
            }
        }
        x = node.add_part(&format!("axis_{axis}"), Movement::Concat { axis }, &parts)?;
    }
    Ok(vec![Value::Tensor(node.add(Op::Identity, &[x])?)])
}

fn concat_v2(node: &mut Node<'_>) -> Results {
    let n = node.operands.len();
    concat(node, n.saturating_sub(1), 0..n.saturating_sub(1))
}

fn concat_v1(node: &mut Node<'_>) -> Results {
    concat(node, 0, 1..node.operands.len())
}

fn concat(node: &mut Node<'_>, axis: usize, operands: std::ops::Range<usize>) -> Results {
    let values = operands.map(|i| node.operand(i).cloned()).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = values.first() else {
        return Err("concatenates nothing".into());
    };
    let rank = node.shape_of(first)?.len();
    let axis = node.axis(node.int(axis)?, rank)?;
    Ok(vec![join(node, &values, axis)?])
}

/// Concatenates floats, or known integers.
fn join(node: &mut Node<'_>, values: &[Value], axis: usize) -> Result<Value, Fault> {
    let ints: Vec<&Ints> =
        values.iter().filter_map(|v| if let Value::Int(i) = v { Some(i) } else { None }).collect();
    if let (true, Some((first, rest))) = (ints.len() == values.len(), ints.split_first()) {
        return Ok(Value::Int(first.moved(&Movement::Concat { axis }, rest)?));
    }
    let mut tensors = Vec::with_capacity(values.len());
    for (i, value) in values.iter().enumerate() {
        tensors.push(match value {
            Value::Tensor(id) => *id,
            // Beside integers that depend on an input, and are floats that hold them.
            Value::Int(ints) => {
                let data = ints.data.iter().map(|&v| v as f32).collect();
                node.add_constant(&format!("operand_{i}"), Array::new(ints.shape.clone(), data)?)
            }
            Value::Opaque(dtype) => return Err(format!("concatenates elements of the type {dtype:?}").into()),
            Value::Unknown => return Err(Fault::Unknown),
        });
    }
    Ok(Value::Tensor(node.add(Movement::Concat { axis }, &tensors)?))
}

fn pack(node: &mut Node<'_>) -> Results {
    let mut parts = Vec::new();
    let mut axis = 0;
    for i in 0..node.operands.len() {
        let value = node.operand(i)?.clone();
        let mut shape = node.shape_of(&value)?;
        axis = node.axis(node.attr_int("axis", 0)?, shape.len() + 1)?;
        shape.insert(axis, 1);
        let movement = Movement::Reshape { shape };
        parts.push(match &value {
            Value::Tensor(id) => Value::Tensor(node.add_part(&i.to_string(), movement, &[*id])?),
            other => node.moved(movement, other)?,
        });
    }
    if parts.is_empty() {
        return Err("stacks nothing".into());
    }
    Ok(vec![join(node, &parts, axis)?])
}

/// `[n] → [1, n] → [m, n] → [m·n]`, along every axis.
fn tile(node: &mut Node<'_>) -> Results {
    let value = node.operand(0)?.clone();
    let from = node.shape_of(&value)?;
    let times = node.lengths(1)?;
    if times.len() != from.len() {
        return Err(format!("repeats {from:?} {times:?} times: one number an axis is needed").into());
    }
    let split = from.iter().flat_map(|&n| [1, n]).collect();
    let wide = times.iter().zip(&from).flat_map(|(&m, &n)| [m, n]).collect();
    let shape = times.iter().zip(&from).map(|(&m, &n)| m.saturating_mul(n)).collect();
    repeated(node, &value, split, wide, shape).map(|v| vec![v])
}

/// Reshape, broadcast, reshape.
fn repeated(
    node: &mut Node<'_>,
    value: &Value,
    split: Vec<usize>,
    wide: Vec<usize>,
    shape: Vec<usize>,
) -> Result<Value, Fault> {
    let steps = [Movement::Reshape { shape: split }, Movement::Broadcast { shape: wide }];
    let value = parts(node, value, steps)?;
    node.moved(Movement::Reshape { shape }, &value)
}

/// Movements on the way to a node's result.
pub(super) fn parts(
    node: &mut Node<'_>,
    value: &Value,
    steps: impl IntoIterator<Item = Movement>,
) -> Result<Value, Fault> {
    let mut value = value.clone();
    for (i, step) in steps.into_iter().enumerate() {
        value = match &value {
            Value::Tensor(id) => {
                let op = Op::Movement(step);
                Value::Tensor(node.add_part(&format!("{}_{i}", op.name()), op, &[*id])?)
            }
            other => node.moved(step, other)?,
        };
    }
    Ok(value)
}

fn broadcast_to(node: &mut Node<'_>) -> Results {
    let value = node.operand(0)?.clone();
    let shape = node.lengths(1)?;
    Ok(vec![node.moved(Movement::Broadcast { shape }, &value)?])
}
