//! Looking a table up by ids that stay secret: each id as a row with a one at its place, and a product of
//! these rows with the table. The client gives the ids of an input as such rows (`Order::OneHot`); ids
//! that are computed are compared with every place.

use cryptflow_ring::Movement;

use super::product::numpy_product;
use crate::builder::Builder;
use crate::value::{Fault, fits};
use cryptflow_graph::ranges::reach;
use cryptflow_graph::{Arithmetic, Array, Comparison, Function, NodeId, Op, Order};

/// Ids that are looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    /// The node that holds them.
    pub(crate) node: NodeId,
    /// Whether negative ones count from the end, where they are computed: a client gives none.
    pub(crate) from_end: bool,
}

/// The entries of a table along an axis that ids say: the axes of the ids stand where that axis was.
pub(crate) fn looked_up(c: &mut Builder<'_>, table: NodeId, axis: usize, ids: Ids) -> Result<NodeId, Fault> {
    let shape = c.shape(table).to_vec();
    let (before, after) = (&shape[..axis], &shape[axis + 1..]);
    let size: usize = before.iter().chain(after).product();
    let front: Vec<usize> = std::iter::once(axis).chain((0..shape.len()).filter(|&a| a != axis)).collect();
    let entries = c.transpose(front, table)?;
    let entries = c.reshape(vec![shape[axis], size], entries)?;
    let wanted = c.shape(ids.node).to_vec();
    let found = match of_an_input(c, ids.node) {
        // Entries are smaller than rows: what only places ids places what was found.
        Some((input, moves)) if fits(c.shape(input))? <= fits(&wanted)? => {
            let rows = c.add_numbered(Order::OneHot { classes: shape[axis] }, &[input])?;
            let found = times(c, rows, entries)?;
            moved_rows(c, found, &moves)?
        }
        Some(_) | None => {
            let rows = rows(c, ids, shape[axis])?;
            times(c, rows, entries)?
        }
    };
    let found = c.reshape([&wanted, before, after].concat(), found)?;
    let (n, b) = (wanted.len(), before.len());
    let there = (n..n + b).chain(0..n).chain(n + b..n + b + after.len()).collect();
    c.transpose(there, found)
}

/// For each row of ids the slice of a value that begins at these places of its first axes.
pub(crate) fn slices_looked_up(c: &mut Builder<'_>, x: NodeId, ids: NodeId) -> Result<NodeId, Fault> {
    let (from, wanted) = (c.shape(x).to_vec(), c.shape(ids).to_vec());
    let Some((&depth, lead)) = wanted.split_last() else {
        return Err("has a single index; rows of indices are needed".into());
    };
    if depth == 0 || depth > from.len() {
        return Err(format!("has indices of the shape {wanted:?} for {from:?}").into());
    }
    if reach(c.graph, ids).low < 0.0 {
        return Err("picks elements by several indices each that depend on an input, and may count from the end. Where they                     do not, say so in the model, with a maximum with zero"
            .into());
    }
    let (lines, slice) = from.split_at(depth);
    // Which slice of all.
    let mut flat = None;
    for (k, &length) in lines.iter().enumerate() {
        let own = c.cut(lead.len(), k, 1, 1, ids)?;
        flat = Some(match flat {
            None => own,
            Some(so_far) => {
                let length = c.add_numbered_constant(Array::scalar(length as f32));
                let before = c.add_numbered(Arithmetic::Mul, &[so_far, length])?;
                c.add_numbered(Arithmetic::Add, &[before, own])?
            }
        });
    }
    let flat = flat.ok_or("picks nothing")?;
    let flat = c.reshape(lead.to_vec(), flat)?;
    let count = fits(lines)?;
    let table = c.reshape([&[count], slice].concat(), x)?;
    looked_up(c, table, 0, Ids { node: flat, from_end: false })
}

/// For each id the element of a value that stands in its line along an axis, at the id: the axes of both are
/// the same, and other axes of the ids may be shorter.
pub(crate) fn elements_looked_up(
    c: &mut Builder<'_>,
    x: NodeId,
    axis: usize,
    ids: Ids,
) -> Result<NodeId, Fault> {
    let (mut from, wanted) = (c.shape(x).to_vec(), c.shape(ids.node).to_vec());
    let fits = wanted.len() == from.len() && (0..from.len()).all(|i| i == axis || wanted[i] <= from[i]);
    if !fits {
        return Err(format!("has indices of the shape {wanted:?} for {from:?}").into());
    }
    let mut lines = x;
    for (other, (have, &want)) in from.iter_mut().zip(&wanted).enumerate().filter(|(i, _)| *i != axis) {
        lines = c.cut(other, 0, want, 1, lines)?;
        *have = want;
    }
    let first = c.cut(axis, 0, 1, 1, lines)?;
    let everywhere = c.move_elements(Movement::Broadcast { shape: from.clone() }, first)?;
    let alike = c.constant_of(lines).zip(c.constant_of(everywhere)).is_some_and(|(a, b)| a == b);
    if alike {
        return c.move_elements(Movement::Broadcast { shape: wanted }, first);
    }
    // The axis comes last, and lines are columns.
    let n = from.len();
    let last: Vec<usize> = (0..n).filter(|&a| a != axis).chain([axis]).collect();
    let (count, size) = (from[axis], wanted[axis]);
    let outer: usize = from.iter().product::<usize>() / count.max(1);
    let rows = rows(c, ids, count)?;
    let rows = c.transpose(last.iter().copied().chain([n]).collect(), rows)?;
    let rows = c.reshape(vec![outer, size, count], rows)?;
    let lines = c.transpose(last.clone(), lines)?;
    let lines = c.reshape(vec![outer, count, 1], lines)?;
    let found = numpy_product(c, rows, lines)?;
    let found = c.reshape(last.iter().map(|&a| wanted[a]).collect(), found)?;
    let there = (0..n).map(|a| last.iter().position(|&l| l == a).unwrap_or(a)).collect();
    c.transpose(there, found)
}

/// Ids as rows of so many along a new last axis: one at their place.
pub(crate) fn rows(c: &mut Builder<'_>, ids: Ids, classes: usize) -> Result<NodeId, Fault> {
    let wanted = c.shape(ids.node).to_vec();
    fits(&[&wanted[..], &[classes]].concat())?;
    if let Some((input, moves)) = of_an_input(c, ids.node) {
        let rows = c.add_numbered(Order::OneHot { classes }, &[input])?;
        return moved_rows(c, rows, &moves);
    }
    let column = c.reshape([&wanted[..], &[1]].concat(), ids.node)?;
    let equal = Op::Arithmetic(Arithmetic::Compare(Comparison::Equal));
    let places = Array::vector((0..classes).map(|k| k as f32).collect());
    let places = c.add_numbered_constant(places);
    let rows = c.add_numbered(equal.clone(), &[column, places])?;
    if !ids.from_end || matches!(c.graph.node(ids.node).op, Op::Order(_)) {
        return Ok(rows);
    }
    let from_end = Array::vector((0..classes).map(|k| k as f32 - classes as f32).collect());
    let from_end = c.add_numbered_constant(from_end);
    let others = c.add_numbered(equal, &[column, from_end])?;
    c.add_numbered(Arithmetic::Add, &[rows, others])
}

/// Rows times the entries that they choose.
fn times(c: &mut Builder<'_>, rows: NodeId, entries: NodeId) -> Result<NodeId, Fault> {
    let shape = c.shape(rows).to_vec();
    let Some((&classes, ids)) = shape.split_last() else { return Err("looks up nothing".into()) };
    let flat = c.reshape(vec![ids.iter().product(), classes], rows)?;
    let found = numpy_product(c, flat, entries)?;
    let size = c.shape(found).last().copied().unwrap_or(1);
    c.reshape([ids, &[size]].concat(), found)
}

/// Movements of ids, of the rows that stand in their places.
fn moved_rows(c: &mut Builder<'_>, mut rows: NodeId, moves: &[Movement]) -> Result<NodeId, Fault> {
    for movement in moves {
        let shape = c.shape(rows).to_vec();
        let Some((&size, own)) = shape.split_last() else { return Ok(rows) };
        let rank = own.len();
        let with = |list: &[usize], last: usize| [list, &[last]].concat();
        let of_rows = match movement {
            Movement::Reshape { shape } => Movement::Reshape { shape: with(shape, size) },
            Movement::Broadcast { shape } => Movement::Broadcast { shape: with(shape, size) },
            Movement::Transpose { permutation } => {
                Movement::Transpose { permutation: with(permutation, rank) }
            }
            Movement::Slice { begin, size: sizes, stride } => Movement::Slice {
                begin: with(begin, 0),
                size: with(sizes, size),
                stride: stride.iter().copied().chain([1]).collect(),
            },
            Movement::Gather { axis, indices } => Movement::Gather { axis: *axis, indices: indices.clone() },
            Movement::Pad { .. } | Movement::Concat { .. } => {
                return Err("places ids beside others that are none".into());
            }
        };
        rows = c.move_elements(of_rows, rows)?;
    }
    Ok(rows)
}

/// The input of the model that these ids are, and how they were moved since; nothing where they are computed.
/// An input of floats that lose their fractions is one of ids if all of it does.
fn of_an_input(c: &Builder<'_>, ids: NodeId) -> Option<(NodeId, Vec<Movement>)> {
    let mut moves = Vec::new();
    let (mut at, mut cut_off) = (ids, false);
    loop {
        let node = c.graph.node(at);
        match (&node.op, node.inputs.as_slice()) {
            (Op::Input, _) => {
                let all = |m: &Movement| matches!(m, Movement::Reshape { .. } | Movement::Transpose { .. });
                moves.reverse();
                let ids = c.graph.integers.contains(&at) || cut_off && moves.iter().all(all);
                return ids.then_some((at, moves));
            }
            (Op::Identity, &[operand]) => at = operand,
            (Op::Function(function), &[operand]) if *function == Function::TRUNCATE => {
                (at, cut_off) = (operand, true);
            }
            (Op::Movement(Movement::Pad { .. } | Movement::Concat { .. }), _) => return None,
            (Op::Movement(movement), &[operand]) => {
                moves.push(movement.clone());
                at = operand;
            }
            // Whatever else there is computes.
            _ => return None,
        }
    }
}
