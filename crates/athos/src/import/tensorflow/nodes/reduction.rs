//! Reductions over axes.

use cryptflow_ring::{Movement, Window};

use super::{Fault, Import, Node, Results, Table, Value};
use crate::graph::Op;
use crate::import::tensorflow::tensor::Ints;

pub(super) const TABLE: Table = &[
    ("Mean", mean),
    ("Sum", sum),
    ("Prod", product),
    ("Max", max),
    ("Min", min),
    ("ArgMax", arg_max as Import),
];

fn mean(node: &mut Node<'_>) -> Results {
    reduce(node, |axes, keep_dims| Op::Mean { axes, keep_dims })
}

fn sum(node: &mut Node<'_>) -> Results {
    match node.operand(0)? {
        Value::Int(_) => fold(node, i64::wrapping_add),
        _ => reduce(node, |axes, keep_dims| Op::Sum { axes, keep_dims }),
    }
}

fn product(node: &mut Node<'_>) -> Results {
    fold(node, i64::wrapping_mul)
}

fn min(node: &mut Node<'_>) -> Results {
    fold(node, i64::min)
}

fn reduce(node: &mut Node<'_>, op: impl Fn(Vec<usize>, bool) -> Op) -> Results {
    let x = node.tensor(0)?;
    let (axes, keep_dims) = axes(node, node.shape(x).len())?;
    let op = if axes.is_empty() { Op::Identity } else { op(axes, keep_dims) };
    Ok(vec![Value::Tensor(node.add(op, &[x])?)])
}

/// The axes in operand 1, ascending, and whether they stay.
fn axes(node: &Node<'_>, rank: usize) -> Result<(Vec<usize>, bool), Fault> {
    let keep_dims = node.attr_bool("keep_dims", false)?;
    let given = node.ints(1)?.data.iter();
    let mut axes = given.map(|&a| node.axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|w| w[0] == w[1]) {
        return Err(format!("names an axis twice: {axes:?}").into());
    }
    Ok((axes, keep_dims))
}

/// Known integers, over all their axes.
fn fold(node: &mut Node<'_>, f: impl Fn(i64, i64) -> i64) -> Results {
    let Value::Int(ints) = node.operand(0)? else {
        return Err(super::advice(&node.def.op).into());
    };
    let (axes, keep_dims) = axes(node, ints.shape.len())?;
    if axes.len() != ints.shape.len() || ints.shape.len() > 1 {
        return Err(format!("reduces integers of the shape {:?} over the axes {axes:?}", ints.shape).into());
    }
    let start = if node.def.op == "Prod" {
        Some(1)
    } else if node.def.op == "Sum" {
        Some(0)
    } else {
        None
    };
    let result = match (start, ints.data.split_first()) {
        (Some(start), _) => ints.data.iter().copied().fold(start, f),
        (None, Some((&first, rest))) => rest.iter().copied().fold(first, f),
        (None, None) => return Err("reduces no integers at all".into()),
    };
    let shape = if keep_dims { vec![1; ints.shape.len()] } else { Vec::new() };
    Ok(vec![Value::Int(Ints { shape, data: vec![result] })])
}

/// The maximum over a whole image is a pooling with one window.
fn max(node: &mut Node<'_>) -> Results {
    if matches!(node.operand(0)?, Value::Int(_)) {
        return fold(node, i64::max);
    }
    let x = node.tensor(0)?;
    let shape = node.shape(x).to_vec();
    let (axes, keep_dims) = axes(node, shape.len())?;
    let (&[batch, height, width, channels], [1, 2]) = (shape.as_slice(), axes.as_slice()) else {
        return Err(format!(
            "takes the maximum of {shape:?} over the axes {axes:?}; only height and width of [batch, height, width, \
             channels] are supported"
        )
        .into());
    };
    let kernel = [height, width];
    let window = Window { kernel, stride: [1, 1], dilation: [1, 1], padding: [[0; 2]; 2] };
    let op = Op::MaxPool { window };
    if keep_dims {
        return Ok(vec![Value::Tensor(node.add(op, &[x])?)]);
    }
    let pooled = node.add_part("pool", op, &[x])?;
    let shape = vec![batch, channels];
    Ok(vec![Value::Tensor(node.add(Op::Movement(Movement::Reshape { shape }), &[pooled])?)])
}

fn arg_max(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let axis = if node.operands.len() > 1 { node.int(1)? } else { 0 };
    let axis = node.axis(axis, node.shape(x).len())?;
    Ok(vec![Value::Tensor(node.add(Op::ArgMax { axis }, &[x])?)])
}
