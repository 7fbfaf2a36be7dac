//! Reductions over axes.

use cryptflow_ring::{Movement, Window};

use super::{Fault, Import, Node, Results, Table, Value};
use crate::compose::Composer;
use crate::docs as doc;
use crate::tensorflow::tensor::Ints;
use cryptflow_graph::{Arithmetic, Array, Op, Order, Pool, Pooling, Reduce, Reduction};

pub(super) const TABLE: Table = &[
    ("Mean", mean, doc::AVERAGE),
    ("Sum", sum, doc::TOTAL),
    ("Prod", product, doc::PRODUCT.note(doc::notes::HALVES)),
    ("Max", max, doc::EXTREME),
    ("Min", min, doc::EXTREME.note("the smallest")),
    ("All", min, doc::EXTREME.note("the smallest of flags")),
    ("Any", max, doc::EXTREME.note("the largest of flags")),
    ("L2Loss", l2_loss, doc::TOTAL.note("half of it, of squares, which are computed first")),
    ("ArgMax", arg_max, doc::ARG_MAX.note(doc::notes::FIRST)),
    ("ArgMin", arg_max, doc::ARG_MAX.note(doc::notes::LEAST)),
    ("TopK", top_k, doc::TOP_K.note(doc::notes::SORTED)),
    ("TopKV2", top_k as Import, doc::TOP_K.note(doc::notes::SORTED)),
];

fn mean(node: &mut Node<'_>) -> Results {
    reduce(node, Reduction::Mean)
}

fn sum(node: &mut Node<'_>) -> Results {
    match node.operand(0)? {
        Value::Int(_) => fold(node, i64::wrapping_add),
        _ => reduce(node, Reduction::Sum),
    }
}

fn min(node: &mut Node<'_>) -> Results {
    match node.operand(0)? {
        Value::Int(_) => fold(node, i64::min),
        _ => reduce(node, Reduction::Min),
    }
}

fn reduce(node: &mut Node<'_>, kind: Reduction) -> Results {
    let x = node.tensor(0)?;
    let (axes, keep_dims) = axes(node, node.shape(x).len())?;
    let op = if axes.is_empty() { Op::Identity } else { Reduce { kind, axes, keep_dims }.into() };
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
        return Err(format!(
            "reduces known integers of the shape {:?} over the axes {axes:?}, and they are reduced to one only. Cast them to \
             floats first",
            ints.shape
        )
        .into());
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
        return reduce(node, Reduction::Max);
    };
    let kernel = [height, width];
    let window = Window { kernel, stride: [1, 1], dilation: [1, 1], padding: [[0; 2]; 2] };
    let op = Op::Pool(Pool { kind: Pooling::Max, window });
    if keep_dims {
        return Ok(vec![Value::Tensor(node.add(op, &[x])?)]);
    }
    let pooled = node.add_part("pool", op, &[x])?;
    let shape = vec![batch, channels];
    Ok(vec![Value::Tensor(node.add(Movement::Reshape { shape }, &[pooled])?)])
}

/// Products in pairs: half of an axis times the other half, until one element is left.
fn product(node: &mut Node<'_>) -> Results {
    if matches!(node.operand(0)?, Value::Int(_)) {
        return fold(node, i64::wrapping_mul);
    }
    let x = node.tensor(0)?;
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
                let part = |c: &mut Composer<'_>, first: usize, size: usize| {
                    c.moved(crate::value::along(&shape, axis, first, size, 1), y)
                };
                let (first, second) = (part(c, 0, half)?, part(c, half, half)?);
                let pairs = c.part(Arithmetic::Mul, &[first, second])?;
                y = if n % 2 == 1 {
                    let odd = part(c, n - 1, 1)?;
                    c.part(Movement::Concat { axis }, &[pairs, odd])?
                } else {
                    pairs
                };
            }
        }
        c.reshaped(result, y)
    })
}

/// Half of the sum of squares.
fn l2_loss(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let axes = (0..node.shape(x).len()).collect();
    let squares = node.add_part("squares", Arithmetic::Mul, &[x, x])?;
    let sum = node.add_part("sum", Reduce { kind: Reduction::Sum, axes, keep_dims: false }, &[squares])?;
    let half = node.add_constant("half", Array::scalar(0.5));
    Ok(vec![Value::Tensor(node.add(Arithmetic::Mul, &[sum, half])?)])
}

/// The least is the largest of the negatives.
fn arg_max(node: &mut Node<'_>) -> Results {
    let mut x = node.tensor(0)?;
    let axis = if node.operands.len() > 1 { node.int(1)? } else { 0 };
    let axis = node.axis(axis, node.shape(x).len())?;
    if node.def.op == "ArgMin" {
        let minus_one = node.add_constant("minus_one", Array::scalar(-1.0));
        x = node.add_part("negated", Arithmetic::Mul, &[x, minus_one])?;
    }
    Ok(vec![Value::Tensor(node.add(Order::ArgMax { axis }, &[x])?)])
}

/// The largest along the last axis, and where they are.
fn top_k(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let k = if node.def.op == "TopKV2" { node.int(1)? } else { node.attr_int("k", 1)? };
    let k = usize::try_from(k).map_err(|_| Fault::Unsupported(format!("takes the {k} largest")))?;
    let Some(axis) = node.shape(x).len().checked_sub(1) else {
        return Err("the operand is a scalar: it has no last axis".into());
    };
    let of = |indices: bool| Op::Order(Order::TopK { axis, k, largest: true, indices });
    let values = node.add(of(false), &[x])?;
    let indices = node.add_part("indices", of(true), &[x])?;
    Ok(vec![Value::Tensor(values), Value::Tensor(indices)])
}
