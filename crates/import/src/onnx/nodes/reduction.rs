//! Reductions over axes, softmax, and what looks for the largest.

use cryptflow_ring::Movement;

use super::arithmetic::{root_of_integers, towards_zero};
use super::{Gives, Node, Number, Results, Row, Value, row};
use crate::compose::{self, Weights, kept};
use crate::docs as doc;
use crate::value::Fault;
use cryptflow_graph::{Activation, Arithmetic, Comparison, Function, NodeId, Op, Order, Reduction};

pub(super) const TABLE: &[Row] = &[
    row("ReduceMean", mean, doc::AVERAGE.note("of integers, without its fraction")),
    row("ReduceSum", |n| n.folded(Reduction::Sum, Some(0), i64::wrapping_add), doc::TOTAL),
    row("ReduceMax", |n| n.folded(Reduction::Max, None, i64::max), doc::EXTREME),
    row("ReduceMin", |n| n.folded(Reduction::Min, None, i64::min), doc::EXTREME.note("the smallest")),
    row("ReduceProd", |n| n.product_over_axes(), doc::PRODUCT.note(doc::notes::HALVES)),
    row("ReduceL1", sum_of_sizes, doc::TOTAL.note("of absolute values, which are computed first")),
    row("ReduceL2", root_of_squares, doc::SQRT.note("of a sum of squares")),
    row("ReduceLogSum", log_of_sum, doc::LOG.note("of a sum, which must stay above zero")),
    row(
        "ReduceLogSumExp",
        log_of_sum_of_exp,
        doc::LOG.note(
            "of a sum of exponentials of what lies below the largest",
        ),
    ),
    row("ReduceSumSquare", sum_of_squares, doc::TOTAL.note("of squares, which are computed first")),
    row(
        "Softmax",
        softmax,
        doc::SOFTMAX.note(
            "at the end of a model the client computes it, for nothing; before opset 13 over all axes from `axis` on",
        ),
    ),
    row("LogSoftmax", log_softmax, doc::SOFTMAX.note(doc::notes::LOG_SOFTMAX)),
    row("Hardmax", hardmax, doc::EXTREME.note("and comparisons with it; of equal ones the first")),
    row("ArgMax", |n| arg(n, true), doc::ARG_MAX.note(doc::notes::FIRST)).gives(Gives::All(Number::Integer)),
    row("ArgMin", |n| arg(n, false), doc::ARG_MAX.note(doc::notes::LEAST)).gives(Gives::All(Number::Integer)),
    row("TopK", top_k, doc::TOP_K.note(doc::notes::SORTED)).gives(Gives::Second(Number::Integer)),
    row("CumSum", |n| n.cumulated(), doc::LINEAR.note(doc::notes::TRIANGLE)),
];

/// Reduces what a function of operand 0 gives, to a part or to the result.
fn of_parts(
    node: &mut Node<'_>,
    part: Option<&str>,
    kind: Reduction,
    f: impl FnOnce(&mut Node<'_>, NodeId) -> Result<NodeId, Fault>,
) -> Result<NodeId, Fault> {
    let (x, reducing) = node.reducing()?;
    let y = f(node, x)?;
    node.add_part_or_result(part, reducing.by(kind), &[y])
}

fn mean(node: &mut Node<'_>) -> Results {
    if node.number(0) == Number::Float {
        return node.reduced(Reduction::Mean);
    }
    let (x, reducing) = node.reducing()?;
    let count: usize = reducing.axes.iter().filter_map(|&axis| node.shape(x).get(axis)).product();
    let sum = node.add_part("sum", reducing.by(Reduction::Sum), &[x])?;
    let count = node.add_number("count", count as f32);
    towards_zero(node, sum, count)
}

fn squares(node: &mut Node<'_>, x: NodeId) -> Result<NodeId, Fault> {
    node.add_part("squares", Arithmetic::Mul, &[x, x])
}

fn sum_of_sizes(node: &mut Node<'_>) -> Results {
    let sum = of_parts(node, None, Reduction::Sum, |node, x| node.add_part("sizes", Function::ABS, &[x]))?;
    Ok(vec![Value::Tensor(sum)])
}

fn sum_of_squares(node: &mut Node<'_>) -> Results {
    Ok(vec![Value::Tensor(of_parts(node, None, Reduction::Sum, squares)?)])
}

fn root_of_squares(node: &mut Node<'_>) -> Results {
    let sum = of_parts(node, Some("sum"), Reduction::Sum, squares)?;
    if node.number(0) == Number::Integer {
        return root_of_integers(node, sum);
    }
    node.result(Function::SQRT, &[sum])
}

fn log_of_sum(node: &mut Node<'_>) -> Results {
    let sum = of_parts(node, Some("sum"), Reduction::Sum, |_, x| Ok(x))?;
    node.result(Function::LOG, &[sum])
}

fn log_of_sum_of_exp(node: &mut Node<'_>) -> Results {
    let (x, reducing) = node.reducing()?;
    if reducing.axes.is_empty() {
        return node.result(Op::Identity, &[x]);
    }
    let [largest, _, sum] = node.log_of_sum(x, reducing.axes.clone())?;
    if reducing.keep_dims {
        return node.result(Arithmetic::Add, &[sum, largest]);
    }
    let all = node.add_part("all", Arithmetic::Add, &[sum, largest])?;
    let shape = reducing.shape(node.shape(x));
    node.result(Movement::Reshape { shape }, &[all])
}

/// Along one axis since version 13; before, along all axes from `axis` on as if they were one.
fn along_last(
    node: &mut Node<'_>,
    f: impl Fn(&mut Node<'_>, Option<&str>, NodeId) -> Result<NodeId, Fault>,
) -> Results {
    let x = node.tensor(0)?;
    let shape = node.shape(x).to_vec();
    let rank = shape.len();
    if rank == 0 {
        return Err("its operand is a single number".into());
    }
    if node.message.opset < 13 {
        let axis = node.attr_int("axis", 1)?;
        let axis = if axis == rank as i64 { rank } else { crate::value::axis(axis, rank)? };
        let rows = shape[..axis].iter().product();
        let flat = node.move_part(
            "rows",
            Movement::Reshape { shape: vec![rows, shape[axis..].iter().product()] },
            x,
        )?;
        let y = f(node, Some("of_rows"), flat)?;
        return node.result(Movement::Reshape { shape }, &[y]);
    }
    let axis = node.attr_axis("axis", -1, rank)?;
    if axis + 1 == rank {
        return Ok(vec![Value::Tensor(f(node, None, x)?)]);
    }
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(axis, rank - 1);
    let last = node.move_part("axis_last", Movement::Transpose { permutation: permutation.clone() }, x)?;
    let y = f(node, Some("of_rows"), last)?;
    node.result(Movement::Transpose { permutation }, &[y])
}

fn softmax(node: &mut Node<'_>) -> Results {
    along_last(node, |node, part, x| node.add_part_or_result(part, Activation::Softmax, &[x]))
}

fn log_softmax(node: &mut Node<'_>) -> Results {
    along_last(node, |node, part, x| node.log_softmax(part, x))
}

/// One where the first largest element is: where an element is the largest, and none before it is.
fn hardmax(node: &mut Node<'_>) -> Results {
    along_last(node, |node, part, x| {
        let shape = node.shape(x).to_vec();
        let (axis, n) = (shape.len() - 1, shape[shape.len() - 1]);
        let largest = node.add_part("largest", kept(Reduction::Max, vec![axis]), &[x])?;
        let here = node.add_part("here", Arithmetic::Compare(Comparison::GreaterEqual), &[x, largest])?;
        let name = format!("{}/before", node.name);
        let counts = compose::along(&mut node.under(name), here, axis, Weights::triangle(n, true, false)?)?;
        let half = node.add_number("half", 0.5);
        let first = node.add_part("first", Arithmetic::Compare(Comparison::Less), &[counts, half])?;
        node.add_part_or_result(part, Arithmetic::Mul, &[here, first])
    })
}

/// Where the largest or smallest element is. With the axis kept, it is the first of one.
fn arg(node: &mut Node<'_>, largest: bool) -> Results {
    let x = node.tensor(0)?;
    let shape = node.shape(x).to_vec();
    let axis = node.attr_axis("axis", 0, shape.len())?;
    let keep = node.attr_flag("keepdims", true)?;
    let first = Op::Order(Order::TopK { axis, k: 1, largest, indices: true });
    if !node.attr_flag("select_last_index", false)? {
        if keep {
            return node.result(first, &[x]);
        }
        return node.place_of(x, axis, largest);
    }
    // The last one of several: the first one from behind.
    let movement = crate::value::along(&shape, axis, shape[axis].saturating_sub(1), shape[axis], -1);
    let reversed = node.move_part("reversed", movement, x)?;
    let place = node.add_part("place", first, &[reversed])?;
    let last = node.add_number("last", shape[axis] as f32 - 1.0);
    if keep {
        return node.result(Arithmetic::Sub, &[last, place]);
    }
    let place = node.add_part("from_behind", Arithmetic::Sub, &[last, place])?;
    let mut shape = shape;
    shape.remove(axis);
    node.result(Movement::Reshape { shape }, &[place])
}

/// The largest or smallest elements, and where they are.
fn top_k(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let rank = node.shape(x).len();
    let axis = node.attr_axis("axis", -1, rank)?;
    let k = if node.has(1) { node.int(1)? } else { node.attr_int("k", 0)? };
    let k = usize::try_from(k).ok().filter(|&k| k <= node.shape(x)[axis]);
    let k =
        k.ok_or_else(|| format!("takes the {:?} largest of {:?}", node.operands.get(1), node.shape(x)))?;
    let largest = node.attr_flag("largest", true)?;
    let of = |indices| Op::Order(Order::TopK { axis, k, largest, indices });
    let values = node.add(of(false), &[x])?;
    let mut results = vec![Value::Tensor(values)];
    if node.is_wanted(1) {
        let name = node.result_name(1);
        results.push(Value::Tensor(node.add_as(name, of(true), &[x])?));
    }
    Ok(results)
}
