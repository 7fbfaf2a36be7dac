//! Movements of elements, of floats and of known integers alike.

use cryptflow_ring::Movement;

use super::{Fault, Node, Results, Row, Value, blocks, row, slice};
use crate::docs as doc;
use cryptflow_graph::Op;

pub(super) const TABLE: &[Row] = &[
    row("Reshape", reshape, doc::MOVEMENT),
    row("Squeeze", squeeze, doc::MOVEMENT),
    row("ExpandDims", expand_dims, doc::MOVEMENT),
    row("Transpose", transpose, doc::MOVEMENT),
    row("Pad", pad, doc::MOVEMENT),
    row("PadV2", pad, doc::MOVEMENT.note("with one constant")),
    row("MirrorPad", mirror_pad, doc::MOVEMENT),
    row("ConcatV2", concat_v2, doc::MOVEMENT),
    row("Concat", |n| concat(n, 0, 1..n.operands.len()), doc::MOVEMENT),
    row("Pack", pack, doc::MOVEMENT),
    row("Tile", |n| n.tiled(), doc::MOVEMENT),
    row("BroadcastTo", broadcast_to, doc::MOVEMENT),
    row("Slice", slice::slice, doc::MOVEMENT),
    row("StridedSlice", slice::strided, doc::MOVEMENT),
    row("Split", slice::split, doc::MOVEMENT),
    row("SplitV", slice::split_sizes, doc::MOVEMENT),
    row("Unpack", slice::unpack, doc::MOVEMENT),
    row("ReverseV2", slice::reverse, doc::MOVEMENT),
    row("DepthToSpace", blocks::depth_to_space, doc::MOVEMENT.note("with channels last only (NHWC)")),
    row("SpaceToDepth", blocks::space_to_depth, doc::MOVEMENT.note("with channels last only (NHWC)")),
    row("SpaceToBatchND", blocks::space_to_batch, doc::MOVEMENT),
    row("BatchToSpaceND", blocks::batch_to_space, doc::MOVEMENT),
];

fn reshape(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let shape = crate::value::reshaped(&from, &node.ints(1)?.data)?;
    node.moved(&value, [Movement::Reshape { shape }])
}

fn squeeze(node: &mut Node<'_>) -> Results {
    let rank = node.shape_of(0)?.len();
    let axes = crate::value::axes(&node.attr_ints("squeeze_dims")?.unwrap_or_default(), rank)?;
    node.squeezed(Some(axes.as_slice()).filter(|axes| !axes.is_empty()))
}

fn expand_dims(node: &mut Node<'_>) -> Results {
    let (value, mut shape) = node.shaped(0)?;
    let axis = crate::value::axis(node.int(1)?, shape.len() + 1)?;
    shape.insert(axis, 1);
    node.moved(&value, [Movement::Reshape { shape }])
}

fn transpose(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let permutation = crate::value::axes(&node.ints(1)?.data, from.len())?;
    node.moved(&value, [Movement::Transpose { permutation }])
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

/// Zeros around the operand, or another constant.
fn pad(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let (before, after) = pairs(node, 1, node.shape(x).len())?;
    let number = if node.has(2) { node.number_of(node.floats(2)?) } else { Some(0.0) };
    let number = number.ok_or("pads with a value that is not one constant")?;
    node.bordered(x, Movement::Pad { before, after }, number)
}

/// Borders that mirror the operand, axis by axis.
fn mirror_pad(node: &mut Node<'_>) -> Results {
    let mut x = node.floats(0)?;
    let rank = node.shape(x).len();
    let (before, after) = pairs(node, 1, rank)?;
    // REFLECT leaves the edge itself out.
    let skip = usize::from(node.attr_text("mode", "REFLECT")? == "REFLECT");
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
    node.result(Op::Identity, &[x])
}

/// The axis is the operand with this number.
fn concat(node: &mut Node<'_>, axis: usize, operands: std::ops::Range<usize>) -> Results {
    let (values, axis) = node.to_join(operands, |n| n.int(axis))?;
    Ok(vec![node.joined(&values, axis)?])
}

fn concat_v2(node: &mut Node<'_>) -> Results {
    let last = node.operands.len().saturating_sub(1);
    concat(node, last, 0..last)
}

pub(super) fn pack(node: &mut Node<'_>) -> Results {
    let mut parts = Vec::new();
    let mut axis = 0;
    for i in 0..node.operands.len() {
        let value = node.operand(i)?.clone();
        let mut shape = node.shape_of_value(&value)?;
        axis = crate::value::axis(node.attr_int("axis", 0)?, shape.len() + 1)?;
        shape.insert(axis, 1);
        let movement = Movement::Reshape { shape };
        parts.push(match &value {
            Value::Tensor(id) => Value::Tensor(node.add_part(&i.to_string(), movement, &[*id])?),
            other => node.move_value(other, [movement])?,
        });
    }
    if parts.is_empty() {
        return Err("stacks nothing".into());
    }
    Ok(vec![node.joined(&parts, axis)?])
}

fn broadcast_to(node: &mut Node<'_>) -> Results {
    let value = node.operand(0)?.clone();
    let shape = node.lengths(1)?;
    node.moved(&value, [Movement::Broadcast { shape }])
}
