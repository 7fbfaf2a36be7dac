//! Reductions over axes.

use cryptflow_ring::{Movement, Window};

use super::{Fault, Node, Results, Row, Value, row};
use crate::docs as doc;
use crate::reduction::Reducing;
use cryptflow_graph::{Arithmetic, Op, Order, Pool, Pooling, Reduce, Reduction};

pub(super) const TABLE: &[Row] = &[
    row("Mean", |n| n.reduced(Reduction::Mean), doc::AVERAGE),
    row("Sum", |n| n.folded(Reduction::Sum, Some(0), i64::wrapping_add), doc::TOTAL),
    row("Prod", |n| n.product_over_axes(), doc::PRODUCT.note(doc::notes::HALVES)),
    row("Max", max, doc::EXTREME),
    row("Min", |n| n.folded(Reduction::Min, None, i64::min), doc::EXTREME.note("the smallest")),
    row("All", |n| n.folded(Reduction::Min, None, i64::min), doc::EXTREME.note("the smallest of flags")),
    row("Any", max, doc::EXTREME.note("the largest of flags")),
    row("L2Loss", l2_loss, doc::TOTAL.note("half of it, of squares, which are computed first")),
    row("ArgMax", |n| arg(n, true), doc::ARG_MAX.note(doc::notes::FIRST)),
    row("ArgMin", |n| arg(n, false), doc::ARG_MAX.note(doc::notes::LEAST)),
    row("TopK", largest, doc::TOP_K.note(doc::notes::SORTED)),
    row("TopKV2", largest, doc::TOP_K.note(doc::notes::SORTED)),
];

/// The maximum over a whole image is a pooling with one window.
fn max(node: &mut Node<'_>) -> Results {
    if let Some(known) = node.fold(None, i64::max)? {
        return Ok(known);
    }
    let (x, Reducing { axes, keep_dims }) = node.reducing()?;
    let (&[batch, height, width, channels], [1, 2]) = (node.shape(x), axes.as_slice()) else {
        return node.reduced(Reduction::Max);
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

/// Half of the sum of squares.
fn l2_loss(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let axes = (0..node.shape(x).len()).collect();
    let squares = node.add_part("squares", Arithmetic::Mul, &[x, x])?;
    let sum = node.add_part("sum", Reduce { kind: Reduction::Sum, axes, keep_dims: false }, &[squares])?;
    let half = node.add_number("half", 0.5);
    node.result(Arithmetic::Mul, &[sum, half])
}

fn arg(node: &mut Node<'_>, largest: bool) -> Results {
    let x = node.floats(0)?;
    let axis = if node.has(1) { node.int(1)? } else { 0 };
    let axis = crate::value::axis(axis, node.shape(x).len())?;
    node.place_of(x, axis, largest)
}

/// The largest along the last axis, and where they are.
fn largest(node: &mut Node<'_>) -> Results {
    let k = if node.has(1) { node.int(1)? } else { node.attr_int("k", 1)? };
    let x = node.floats(0)?;
    let k = usize::try_from(k).map_err(|_| Fault::from(format!("takes the {k} largest")))?;
    let axis = node.last_axis(x)?;
    let of = |indices: bool| Op::Order(Order::TopK { axis, k, largest: true, indices });
    let values = node.add(of(false), &[x])?;
    let indices = node.add_part("indices", of(true), &[x])?;
    Ok(vec![Value::Tensor(values), Value::Tensor(indices)])
}
