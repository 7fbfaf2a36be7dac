//! Reductions over axes, softmax, and what looks for the largest.

use cryptflow_ring::Movement;

use super::{Gives, Kind, Node, Results, Row, Value, row};
use crate::budget::check_made;
use crate::compose::{MATRIX_PRODUCT, kept};
use crate::docs as doc;
use crate::value::{Fault, Ints, fits};
use cryptflow_graph::{
    Activation, Arithmetic, Array, Comparison, Function, NodeId, Op, Order, Reduce, Reduction,
};

pub(super) const TABLE: &[Row] = &[
    row("ReduceMean", |n| plain(n, Reduction::Mean), doc::AVERAGE),
    row("ReduceSum", |n| folded(n, Reduction::Sum, Some(0), i64::wrapping_add), doc::TOTAL),
    row("ReduceMax", |n| folded(n, Reduction::Max, None, i64::max), doc::EXTREME),
    row("ReduceMin", |n| folded(n, Reduction::Min, None, i64::min), doc::EXTREME.note("the smallest")),
    row("ReduceProd", product, doc::PRODUCT.note(doc::notes::HALVES)),
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
    row("ArgMax", |n| arg(n, true), doc::ARG_MAX.note(doc::notes::FIRST)).gives(Gives::All(Kind::Integer)),
    row("ArgMin", |n| arg(n, false), doc::ARG_MAX.note(doc::notes::LEAST)).gives(Gives::All(Kind::Integer)),
    row("TopK", top_k, doc::TOP_K.note(doc::notes::SORTED)).gives(Gives::Second(Kind::Integer)),
    row("CumSum", cumulated, doc::LINEAR.note(doc::notes::TRIANGLE)),
];

/// The axes of a reduction, and whether they stay; nothing where none is reduced.
struct Reducing {
    x: NodeId,
    axes: Vec<usize>,
    keep_dims: bool,
}

fn reduction(node: &mut Node<'_>) -> Result<Reducing, Fault> {
    let x = node.tensor(0)?;
    let rank = node.shape(x).len();
    let (axes, keep_dims) = axes_of(node, rank)?;
    Ok(Reducing { x, axes, keep_dims })
}

fn axes_of(node: &Node<'_>, rank: usize) -> Result<(Vec<usize>, bool), Fault> {
    let keep_dims = node.attr_flag("keepdims", true)?;
    let given = node.axes(1, rank)?.filter(|a| !a.is_empty());
    let axes = match given {
        Some(axes) => axes,
        None if node.attr_flag("noop_with_empty_axes", false)? => Vec::new(),
        None => (0..rank).collect(),
    };
    Ok((axes, keep_dims))
}

/// Reduces with an operation of the graph; over no axes at all it is the identity.
fn reduced(
    node: &mut Node<'_>,
    part: Option<&str>,
    r: &Reducing,
    x: NodeId,
    op: Reduce,
) -> Result<NodeId, Fault> {
    let op = if r.axes.is_empty() { Op::Identity } else { op.into() };
    node.add_part_or_result(part, op, &[x])
}

/// Known integers.
fn fold(
    node: &Node<'_>,
    start: Option<i64>,
    f: impl Fn(i64, i64) -> i64,
) -> Result<Option<Vec<Value>>, Fault> {
    let Value::Int(ints) = node.operand(0)? else { return Ok(None) };
    let rank = ints.shape.len();
    let (axes, keep_dims) = axes_of(node, rank)?;
    let reduced = |i: &usize| axes.contains(i);
    let kept: Vec<usize> = (0..rank).map(|i| if reduced(&i) { 1 } else { ints.shape[i] }).collect();
    let n = fits(&kept)?;
    let mut result: Vec<Option<i64>> = vec![start; n];
    for (place, &value) in ints.data.iter().enumerate() {
        let (mut rest, mut at, mut step) = (place, 0, 1);
        for i in (0..rank).rev() {
            let index = rest % ints.shape[i];
            rest /= ints.shape[i];
            if !reduced(&i) {
                at += index * step;
                step *= ints.shape[i];
            }
        }
        let element = &mut result[at];
        *element = Some(element.map_or(value, |e| f(e, value)));
    }
    let data = result.into_iter().collect::<Option<Vec<_>>>().ok_or("reduces no integers at all")?;
    let shape =
        if keep_dims { kept } else { (0..rank).filter(|i| !reduced(i)).map(|i| ints.shape[i]).collect() };
    Ok(Some(vec![Value::Int(Ints { shape, data })]))
}

fn plain(node: &mut Node<'_>, kind: Reduction) -> Results {
    let r = reduction(node)?;
    Ok(vec![Value::Tensor(reduced(node, None, &r, r.x, r.by(kind))?)])
}

impl Reducing {
    fn by(&self, kind: Reduction) -> Reduce {
        Reduce { kind, axes: self.axes.clone(), keep_dims: self.keep_dims }
    }
}

/// Known integers are folded at once.
fn folded(node: &mut Node<'_>, kind: Reduction, start: Option<i64>, f: fn(i64, i64) -> i64) -> Results {
    if let Some(known) = fold(node, start, f)? {
        return Ok(known);
    }
    plain(node, kind)
}

/// Halves of an axis are multiplied with each other until one element is left.
fn product(node: &mut Node<'_>) -> Results {
    if let Some(known) = fold(node, Some(1), i64::wrapping_mul)? {
        return Ok(known);
    }
    let r = reduction(node)?;
    let mut x = r.x;
    for &axis in &r.axes {
        let mut round = 0;
        while node.shape(x)[axis] > 1 {
            let shape = node.shape(x).to_vec();
            let half = shape[axis] / 2;
            let take = |node: &mut Node<'_>, part: &str, first: usize, size: usize| {
                let movement = crate::value::along(&shape, axis, first, size, 1);
                node.move_part(&format!("{part}_{axis}_{round}"), movement, x)
            };
            let (a, b) = (take(node, "first", 0, half)?, take(node, "second", half, half)?);
            let odd = if shape[axis] % 2 == 1 { Some(take(node, "odd", 2 * half, 1)?) } else { None };
            x = node.add_part(&format!("product_{axis}_{round}"), Arithmetic::Mul, &[a, b])?;
            if let Some(odd) = odd {
                x =
                    node.add_part(&format!("with_odd_{axis}_{round}"), Movement::Concat { axis }, &[x, odd])?;
            }
            round += 1;
        }
        if node.shape(x)[axis] == 0 {
            return Err("multiplies no elements at all".into());
        }
    }
    let shape = node.shape(x).to_vec();
    let kept = |i: &usize| r.keep_dims || !r.axes.contains(i);
    let shape = (0..shape.len()).filter(kept).map(|i| shape[i]).collect();
    node.result(Movement::Reshape { shape }, &[x])
}

fn sum_of_sizes(node: &mut Node<'_>) -> Results {
    let r = reduction(node)?;
    let sizes = node.add_part("sizes", Function::ABS, &[r.x])?;
    Ok(vec![Value::Tensor(reduced(node, None, &r, sizes, r.by(Reduction::Sum))?)])
}

fn sum_of_squares(node: &mut Node<'_>) -> Results {
    let r = reduction(node)?;
    let squares = node.add_part("squares", Arithmetic::Mul, &[r.x, r.x])?;
    Ok(vec![Value::Tensor(reduced(node, None, &r, squares, r.by(Reduction::Sum))?)])
}

fn root_of_squares(node: &mut Node<'_>) -> Results {
    let r = reduction(node)?;
    let squares = node.add_part("squares", Arithmetic::Mul, &[r.x, r.x])?;
    let sum = reduced(node, Some("sum"), &r, squares, r.by(Reduction::Sum))?;
    node.result(Function::SQRT, &[sum])
}

fn log_of_sum(node: &mut Node<'_>) -> Results {
    let r = reduction(node)?;
    let sum = reduced(node, Some("sum"), &r, r.x, r.by(Reduction::Sum))?;
    node.result(Function::LOG, &[sum])
}

/// Exponentials of differences to the largest element are not too large for fixed point.
fn log_of_sum_of_exp(node: &mut Node<'_>) -> Results {
    let r = reduction(node)?;
    if r.axes.is_empty() {
        return node.result(Op::Identity, &[r.x]);
    }
    let largest = node.add_part("largest", kept(Reduction::Max, r.axes.clone()), &[r.x])?;
    let sum = log_sum(node, r.x, largest, &r.axes)?;
    if r.keep_dims {
        return node.result(Arithmetic::Add, &[sum, largest]);
    }
    let all = node.add_part("all", Arithmetic::Add, &[sum, largest])?;
    let shape =
        node.shape(r.x).iter().enumerate().filter(|(i, _)| !r.axes.contains(i)).map(|(_, &n)| n).collect();
    node.result(Movement::Reshape { shape }, &[all])
}

/// ln(sum(exp(x − largest))), the axes kept.
fn log_sum(node: &mut Node<'_>, x: NodeId, largest: NodeId, axes: &[usize]) -> Result<NodeId, Fault> {
    let below = node.add_part("below", Arithmetic::Sub, &[x, largest])?;
    let powers = node.add_part("exp", Function::EXP, &[below])?;
    let sum = node.add_part("sum", kept(Reduction::Sum, axes.to_vec()), &[powers])?;
    node.add_part("log", Function::LOG, &[sum])
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
    along_last(node, |node, part, x| {
        let axes = vec![node.shape(x).len() - 1];
        let largest = node.add_part("largest", kept(Reduction::Max, axes.clone()), &[x])?;
        let log = log_sum(node, x, largest, &axes)?;
        let below = node.add_part("below_largest", Arithmetic::Sub, &[x, largest])?;
        node.add_part_or_result(part, Arithmetic::Sub, &[below, log])
    })
}

/// One where the first largest element is: where an element is the largest, and none before it is.
fn hardmax(node: &mut Node<'_>) -> Results {
    along_last(node, |node, part, x| {
        let shape = node.shape(x).to_vec();
        let (axis, n) = (shape.len() - 1, shape[shape.len() - 1]);
        let largest = node.add_part("largest", kept(Reduction::Max, vec![axis]), &[x])?;
        let here = node.add_part("here", Arithmetic::Compare(Comparison::GreaterEqual), &[x, largest])?;
        check_made(&[n, n])?;
        let before = (0..n * n).map(|i| if i / n < i % n { 1.0 } else { 0.0 }).collect();
        let before = node.add_constant("before", Array::new(vec![n, n], before)?);
        let rows = vec![shape[..axis].iter().product(), n];
        let flat = node.move_part("here_rows", Movement::Reshape { shape: rows }, here)?;
        let counts = node.add_part("counts", MATRIX_PRODUCT, &[flat, before])?;
        let counts = node.move_part("whole", Movement::Reshape { shape }, counts)?;
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
        if largest {
            return node.result(Order::ArgMax { axis }, &[x]);
        }
        let minus_one = node.add_number("minus_one", -1.0);
        let negated = node.add_part("negated", Arithmetic::Mul, &[x, minus_one])?;
        return node.result(Order::ArgMax { axis }, &[negated]);
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

/// Sums up to each element: a product with a triangle of ones.
fn cumulated(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let shape = node.shape(x).to_vec();
    let rank = shape.len();
    let axis = crate::value::axis(node.int(1)?, rank)?;
    let (exclusive, reverse) = (node.attr_flag("exclusive", false)?, node.attr_flag("reverse", false)?);
    let n = shape[axis];
    check_made(&[n, n])?;
    let counts = |from: usize, to: usize| {
        let (from, to) = if reverse { (to, from) } else { (from, to) };
        from < to || (from == to && !exclusive)
    };
    let triangle = (0..n * n).map(|i| if counts(i / n, i % n) { 1.0 } else { 0.0 }).collect();
    let triangle = node.add_constant("triangle", Array::new(vec![n, n], triangle)?);
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(axis, rank - 1);
    let last = node.move_part("axis_last", Movement::Transpose { permutation: permutation.clone() }, x)?;
    let moved = node.shape(last).to_vec();
    let rows = moved[..rank - 1].iter().product();
    let flat = node.move_part("rows", Movement::Reshape { shape: vec![rows, n] }, last)?;
    let sums = node.add_part("sums", MATRIX_PRODUCT, &[flat, triangle])?;
    let back = node.move_part("whole", Movement::Reshape { shape: moved }, sums)?;
    node.result(Movement::Transpose { permutation }, &[back])
}
