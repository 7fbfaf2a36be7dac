//! Reductions over axes.

use cryptflow_ring::{Movement, Window};

use super::{Fault, Node, Results, Row, Value, row};
use crate::builder::Builder;
use crate::docs as doc;
use crate::value::Ints;
use cryptflow_graph::{Arithmetic, NodeId, Op, Order, Pool, Pooling, Reduce, Reduction};

pub(super) const TABLE: &[Row] = &[
    row("Mean", |n| reduce(n, Reduction::Mean), doc::AVERAGE),
    row("Sum", |n| folded(n, Reduction::Sum, Some(0), i64::wrapping_add), doc::TOTAL),
    row("Prod", product, doc::PRODUCT.note(doc::notes::HALVES)),
    row("Max", max, doc::EXTREME),
    row("Min", |n| folded(n, Reduction::Min, None, i64::min), doc::EXTREME.note("the smallest")),
    row("All", |n| folded(n, Reduction::Min, None, i64::min), doc::EXTREME.note("the smallest of flags")),
    row("Any", max, doc::EXTREME.note("the largest of flags")),
    row("L2Loss", l2_loss, doc::TOTAL.note("half of it, of squares, which are computed first")),
    row("ArgMax", arg_max, doc::ARG_MAX.note(doc::notes::FIRST)),
    row("ArgMin", arg_min, doc::ARG_MAX.note(doc::notes::LEAST)),
    row("TopK", top_k, doc::TOP_K.note(doc::notes::SORTED)),
    row("TopKV2", top_k_v2, doc::TOP_K.note(doc::notes::SORTED)),
];

/// Known integers are folded at once.
fn folded(node: &mut Node<'_>, kind: Reduction, start: Option<i64>, f: fn(i64, i64) -> i64) -> Results {
    match fold(node, start, f)? {
        Some(known) => Ok(known),
        None => reduce(node, kind),
    }
}

fn reduce(node: &mut Node<'_>, kind: Reduction) -> Results {
    let x = node.floats(0)?;
    let (axes, keep_dims) = axes(node, node.shape(x).len())?;
    let op = if axes.is_empty() { Op::Identity } else { Reduce { kind, axes, keep_dims }.into() };
    node.result(op, &[x])
}

/// The axes in operand 1, ascending, and whether they stay.
fn axes(node: &Node<'_>, rank: usize) -> Result<(Vec<usize>, bool), Fault> {
    let keep_dims = node.attr_bool("keep_dims", false)?;
    Ok((crate::value::distinct_axes(&node.ints(1)?.data, rank)?, keep_dims))
}

/// Known integers, over all their axes. Nothing where they are not known.
fn fold(
    node: &Node<'_>,
    start: Option<i64>,
    f: impl Fn(i64, i64) -> i64,
) -> Result<Option<Vec<Value>>, Fault> {
    let Value::Int(ints) = node.operand(0)? else { return Ok(None) };
    let (axes, keep_dims) = axes(node, ints.shape.len())?;
    if axes.len() != ints.shape.len() || ints.shape.len() > 1 {
        return Err(format!(
            "reduces known integers of the shape {:?} over the axes {axes:?}, and they are reduced to one only. Cast them to \
             floats first",
            ints.shape
        )
        .into());
    }
    let all = start.into_iter().chain(ints.data.iter().copied());
    let result = all.reduce(f).ok_or("reduces no integers at all")?;
    let shape = if keep_dims { vec![1; ints.shape.len()] } else { Vec::new() };
    Ok(Some(vec![Value::Int(Ints { shape, data: vec![result] })]))
}

/// The maximum over a whole image is a pooling with one window.
fn max(node: &mut Node<'_>) -> Results {
    if let Some(known) = fold(node, None, i64::max)? {
        return Ok(known);
    }
    let x = node.floats(0)?;
    let shape = node.shape(x).to_vec();
    let (axes, keep_dims) = axes(node, shape.len())?;
    let (&[batch, height, width, channels], [1, 2]) = (shape.as_slice(), axes.as_slice()) else {
        return reduce(node, Reduction::Max);
    };
    let kernel = [height, width];
    let window = Window { kernel, stride: [1, 1], dilation: [1, 1], padding: [[0; 2]; 2] };
    let op = Op::Pool(Pool { kind: Pooling::Max, window });
    if keep_dims {
        return node.result(op, &[x]);
    }
    let pooled = node.add_part("pool", op, &[x])?;
    let shape = vec![batch, channels];
    node.result(Movement::Reshape { shape }, &[pooled])
}

/// Products in pairs: half of an axis times the other half, until one element is left.
fn product(node: &mut Node<'_>) -> Results {
    if let Some(known) = fold(node, Some(1), i64::wrapping_mul)? {
        return Ok(known);
    }
    let x = node.floats(0)?;
    let (axes, keep_dims) = axes(node, node.shape(x).len())?;
    let result: Vec<usize> = {
        let shape = node.shape(x);
        let kept = (0..shape.len()).filter(|i| keep_dims || !axes.contains(i));
        kept.map(|i| if axes.contains(&i) { 1 } else { shape[i] }).collect()
    };
    node.composed(|c| {
        let mut y = x;
        for axis in axes {
            loop {
                let shape = c.shape(y).to_vec();
                let n = shape[axis];
                if n <= 1 {
                    break;
                }
                let half = n / 2;
                let part = |c: &mut Builder<'_>, first: usize, size: usize| {
                    c.move_elements(crate::value::along(&shape, axis, first, size, 1), y)
                };
                let (first, second) = (part(c, 0, half)?, part(c, half, half)?);
                let pairs = c.add_numbered(Arithmetic::Mul, &[first, second])?;
                y = if n % 2 == 1 {
                    let odd = part(c, n - 1, 1)?;
                    c.add_numbered(Movement::Concat { axis }, &[pairs, odd])?
                } else {
                    pairs
                };
            }
        }
        c.reshape(result, y)
    })
}

/// Half of the sum of squares.
fn l2_loss(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let axes = (0..node.shape(x).len()).collect();
    let squares = node.add_part("squares", Arithmetic::Mul, &[x, x])?;
    let sum = node.add_part("sum", Reduce { kind: Reduction::Sum, axes, keep_dims: false }, &[squares])?;
    let half = node.add_number("half", 0.5);
    node.result(Arithmetic::Mul, &[sum, half])
}

fn arg_max(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    arg_max_of(node, x)
}

/// The least is the largest of the negatives.
fn arg_min(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let minus_one = node.add_number("minus_one", -1.0);
    let negated = node.add_part("negated", Arithmetic::Mul, &[x, minus_one])?;
    arg_max_of(node, negated)
}

fn arg_max_of(node: &mut Node<'_>, x: NodeId) -> Results {
    let axis = if node.operands.len() > 1 { node.int(1)? } else { 0 };
    let axis = crate::value::axis(axis, node.shape(x).len())?;
    node.result(Order::ArgMax { axis }, &[x])
}

/// How many of the largest is an attribute.
fn top_k(node: &mut Node<'_>) -> Results {
    let k = node.attr_int("k", 1)?;
    largest(node, k)
}

/// How many of the largest is an operand.
fn top_k_v2(node: &mut Node<'_>) -> Results {
    let k = node.int(1)?;
    largest(node, k)
}

/// The largest along the last axis, and where they are.
fn largest(node: &mut Node<'_>, k: i64) -> Results {
    let x = node.floats(0)?;
    let k = usize::try_from(k).map_err(|_| Fault::Unsupported(format!("takes the {k} largest")))?;
    let Some(axis) = node.shape(x).len().checked_sub(1) else {
        return Err("the operand is a scalar: it has no last axis".into());
    };
    let of = |indices: bool| Op::Order(Order::TopK { axis, k, largest: true, indices });
    let values = node.add(of(false), &[x])?;
    let indices = node.add_part("indices", of(true), &[x])?;
    Ok(vec![Value::Tensor(values), Value::Tensor(indices)])
}
