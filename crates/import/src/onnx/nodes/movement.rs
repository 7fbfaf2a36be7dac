//! Movements of elements, of floats and of known integers alike.

use cryptflow_ring::Movement;

use super::{Node, Results, Row, Value, row};
use crate::docs as doc;
use crate::movement::{blocks, reshape_to, spread};
use crate::value::{axes, axis, parts, range, reshaped};

/// A node has no more results.
const MAX_PARTS: usize = 1 << 12;

pub(super) const TABLE: &[Row] = &[
    row("Reshape", reshape, doc::MOVEMENT),
    row("Transpose", transpose, doc::MOVEMENT),
    row("Flatten", flatten, doc::MOVEMENT),
    row("Squeeze", squeeze, doc::MOVEMENT),
    row("Unsqueeze", unsqueeze, doc::MOVEMENT),
    row("Concat", concat, doc::MOVEMENT),
    row("Split", split, doc::MOVEMENT),
    row("Slice", slice, doc::MOVEMENT),
    row("Expand", expand, doc::MOVEMENT),
    row("Tile", |n| n.tiled(), doc::MOVEMENT),
    row("DepthToSpace", depth_to_space, doc::MOVEMENT),
    row("SpaceToDepth", space_to_depth, doc::MOVEMENT),
];

/// A zero takes the operand's length there, unless zeros are allowed to mean zero.
fn reshape(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let mut asked = node.needed_ints("shape", 1)?;
    if !node.attr_flag("allowzero", false)? {
        for (i, length) in asked.iter_mut().enumerate().filter(|(_, d)| **d == 0) {
            let kept = from.get(i).ok_or_else(|| format!("keeps axis {i} of {from:?}, which has none"))?;
            *length = *kept as i64;
        }
    }
    let shape = reshaped(&from, &asked)?;
    node.moved(&value, [reshape_to(shape)])
}

fn transpose(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let permutation = match node.attr_ints("perm")? {
        Some(order) => axes(&order, from.len())?,
        None => (0..from.len()).rev().collect(),
    };
    node.moved(&value, [Movement::Transpose { permutation }])
}

fn flatten(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let at = node.attr_int("axis", 1)?;
    let at = if at == from.len() as i64 { from.len() } else { axis(at, from.len())? };
    let shape = vec![from[..at].iter().product(), from[at..].iter().product()];
    node.moved(&value, [reshape_to(shape)])
}

fn squeeze(node: &mut Node<'_>) -> Results {
    let rank = node.shape_of(0)?.len();
    let axes = node.axes(1, rank)?;
    node.squeezed(axes.as_deref())
}

fn unsqueeze(node: &mut Node<'_>) -> Results {
    let (value, mut shape) = node.shaped(0)?;
    let count = node.needed_ints("axes", 1)?.len();
    for axis in node.axes(1, shape.len() + count)?.unwrap_or_default() {
        shape.insert(axis, 1);
    }
    node.moved(&value, [reshape_to(shape)])
}

fn concat(node: &mut Node<'_>) -> Results {
    let (values, axis) = node.to_join(0..node.operands.len(), |n| n.attr_int("axis", 1))?;
    // What has no elements adds none.
    let shapes = values.iter().map(|v| node.shape_of_value(v)).collect::<Result<Vec<_>, _>>()?;
    let mut full: Vec<Value> =
        values.iter().zip(&shapes).filter(|(_, s)| s.get(axis) != Some(&0)).map(|(v, _)| v.clone()).collect();
    if full.is_empty() {
        full = values;
    }
    Ok(vec![node.joined(&full, axis)?])
}

/// Parts of stated lengths, or equal ones of which the last may be shorter.
fn split(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let axis = node.attr_axis("axis", 0, from.len())?;
    let sizes = match node.ints_of("split", 1)? {
        Some(sizes) => parts(&sizes, from[axis])
            .ok_or_else(|| format!("splits axis {axis} of {from:?} in parts of {sizes:?}"))?,
        None => {
            let given = node.attr_int("num_outputs", node.message.def.output.len() as i64)?;
            let n = usize::try_from(given).ok().filter(|n| (1..=MAX_PARTS).contains(n));
            let n = n.ok_or_else(|| format!("splits in {given} parts"))?;
            let size = from[axis].div_ceil(n);
            (0..n).map(|i| size.min(from[axis].saturating_sub(i * size))).collect()
        }
    };
    node.parts(&value, axis, &sizes, false, |n, i| (n.is_wanted(i) || i == 0).then(|| n.result_name(i)))
}

/// Attributes up to version 9, operands since 10.
fn slice(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let (starts, ends) = match (node.attr_ints("starts")?, node.attr_ints("ends")?) {
        (Some(starts), Some(ends)) => (starts, ends),
        _ => (node.ints(1)?.data, node.ints(2)?.data),
    };
    let axes = node.ints_of("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = if node.has(4) { node.ints(4)?.data } else { vec![1; starts.len()] };
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(
            format!("slices from {starts:?} to {ends:?} along {axes:?}: these are not as many").into()
        );
    }
    let (mut begin, mut size, mut stride) = (vec![0; from.len()], from.clone(), vec![1; from.len()]);
    for i in 0..starts.len() {
        let at = axis(axes[i], from.len())?;
        (begin[at], size[at], stride[at]) = range((Some(starts[i]), Some(ends[i])), steps[i], from[at])?;
    }
    node.moved(&value, [Movement::Slice { begin, size, stride }])
}

/// Broadcasts in both directions: the shape asked for may be shorter.
fn expand(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let asked = node.lengths(1)?;
    let shape = cryptflow_graph::operations::broadcast(&from, &asked)
        .ok_or_else(|| format!("cannot broadcast {from:?} to {asked:?}"))?;
    node.moved(&value, [Movement::Broadcast { shape }])
}

fn depth_to_space(node: &mut Node<'_>) -> Results {
    let (value, [b, c, h, w], s) = node.in_blocks("blocksize")?;
    let d = spread(c, s)?;
    let (split, permutation) = match node.attr_text("mode", "DCR")? {
        "DCR" => (vec![b, s, s, d, h, w], vec![0, 3, 4, 1, 5, 2]),
        "CRD" => (vec![b, d, s, s, h, w], vec![0, 1, 4, 2, 5, 3]),
        _ => return Err(Node::wrong("mode")),
    };
    let steps =
        [reshape_to(split), Movement::Transpose { permutation }, reshape_to(vec![b, d, h * s, w * s])];
    node.moved(&value, steps)
}

fn space_to_depth(node: &mut Node<'_>) -> Results {
    let (value, [b, c, h, w], s) = node.in_blocks("blocksize")?;
    let [h, w] = blocks([h, w], s)?;
    let permutation = match node.attr_text("mode", "DCR")? {
        "DCR" => vec![0, 3, 5, 1, 2, 4],
        "CRD" => vec![0, 1, 3, 5, 2, 4],
        _ => return Err(Node::wrong("mode")),
    };
    let steps = [
        reshape_to(vec![b, c, h, s, w, s]),
        Movement::Transpose { permutation },
        reshape_to(vec![b, s * s * c, h, w]),
    ];
    node.moved(&value, steps)
}
