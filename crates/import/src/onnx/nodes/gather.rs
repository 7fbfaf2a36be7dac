//! Elements picked, placed and masked by known indices: all of them movements.

use cryptflow_ring::Movement;

use super::{Node, Number, Results, Row, Value, row};
use crate::compose::{self, Ids};
use crate::docs as doc;
use crate::value::{Fault, Ints, axis, fits, place};
use cryptflow_graph::NodeId;

pub(super) const TABLE: &[Row] = &[
    row("Gather", gather, doc::MOVEMENT.note(doc::notes::LOOKED_UP)),
    row("GatherElements", gather_elements, doc::MOVEMENT.note(doc::notes::LOOKED_UP)),
    row("GatherND", gather_nd, doc::MOVEMENT.note("the indices are public")),
    row("ScatterElements", scatter_elements, doc::MOVEMENT.note(doc::notes::REPLACED)),
    row("Scatter", scatter_elements, doc::MOVEMENT.note(doc::notes::REPLACED)),
    row("ScatterND", scatter_nd, doc::MOVEMENT.note(doc::notes::REPLACED)),
    row("Compress", compress, doc::MOVEMENT.note("the condition is public")),
    row("ReverseSequence", reverse_sequence, doc::MOVEMENT.note("the lengths are public")),
    row("Trilu", triangle, doc::MOVEMENT),
];

/// Row-major distances of a shape.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// These elements of a value read as a row, in a shape; nothing stands for zero.
fn picked(node: &mut Node<'_>, value: &Value, places: &[Option<usize>], shape: Vec<usize>) -> Results {
    let from = node.shape_of_value(value)?;
    let n = fits(&from)?;
    fits(&shape)?;
    let mut steps = vec![Movement::Reshape { shape: vec![n] }];
    if places.contains(&None) {
        steps.push(Movement::Pad { before: vec![0], after: vec![1] });
    }
    let indices = places.iter().map(|p| p.unwrap_or(n)).collect();
    steps.extend([Movement::Gather { axis: 0, indices }, Movement::Reshape { shape }]);
    node.moved(value, steps)
}

/// Integers that are secret, and that elements are picked by.
pub(super) fn ids(node: &Node<'_>, operand: usize) -> Option<Ids> {
    let id = node.secret_indices(operand).filter(|_| node.number(operand) == Number::Integer)?;
    Some(Ids { node: id, from_end: true })
}

fn gather(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let at = node.attr_axis("axis", 0, from.len())?;
    if let Some(ids) = ids(node, 1) {
        let table = node.tensor(0)?;
        return node.composed(|c| compose::looked_up(c, table, at, ids));
    }
    let wanted = node.indices(1)?;
    let places = wanted.data.iter().map(|&i| place(i, from[at])).collect::<Result<Vec<_>, _>>()?;
    node.gathered(&value, at, places, &wanted.shape)
}

/// For each index of a tensor, the place that it means in the operand of this shape, along an axis.
fn element_places(wanted: &Ints, from: &[usize], at: usize) -> Result<Vec<usize>, Fault> {
    let fits =
        wanted.shape.len() == from.len() && (0..from.len()).all(|i| i == at || wanted.shape[i] <= from[i]);
    if !fits {
        return Err(format!("has indices of the shape {:?} for {from:?}", wanted.shape).into());
    }
    let (own, steps) = (strides(&wanted.shape), strides(from));
    let one = |(i, &index): (usize, &i64)| -> Result<usize, Fault> {
        let index = place(index, from[at])?;
        let coordinate = |a: usize| if a == at { index } else { i / own[a] % wanted.shape[a] };
        Ok((0..from.len()).map(|a| coordinate(a) * steps[a]).sum())
    };
    wanted.data.iter().enumerate().map(one).collect()
}

fn gather_elements(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let at = node.attr_axis("axis", 0, from.len())?;
    if let Some(ids) = ids(node, 1) {
        let x = node.tensor(0)?;
        return node.composed(|c| compose::elements_looked_up(c, x, at, ids));
    }
    let wanted = node.indices(1)?;
    let places: Vec<_> = element_places(&wanted, &from, at)?.into_iter().map(Some).collect();
    picked(node, &value, &places, wanted.shape)
}

/// For each row of indices, the place in an operand of this shape where the slice begins that it
/// means, and the slice's shape. The first `batch` axes go along.
fn slice_places(wanted: &Ints, from: &[usize], batch: usize) -> Result<(Vec<usize>, Vec<usize>), Fault> {
    let Some((&depth, lead)) = wanted.shape.split_last() else {
        return Err("has a single index; rows of indices are needed".into());
    };
    if batch > lead.len() || batch + depth > from.len() || wanted.shape[..batch] != from[..batch] {
        return Err(format!("has indices of the shape {:?} for {from:?}", wanted.shape).into());
    }
    let steps = strides(from);
    let rows: usize = lead.iter().product();
    let per_batch = lead[batch..].iter().product::<usize>().max(1);
    let batch_step = if batch == 0 { 0 } else { steps[batch - 1] };
    let mut starts = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut start = row / per_batch * batch_step;
        for d in 0..depth {
            start += place(wanted.data[row * depth + d], from[batch + d])? * steps[batch + d];
        }
        starts.push(start);
    }
    Ok((starts, from[batch + depth..].to_vec()))
}

fn gather_nd(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let wanted = node.indices(1)?;
    let batch = usize::try_from(node.attr_int("batch_dims", 0)?).map_err(|_| Node::wrong("batch_dims"))?;
    let (starts, slice) = slice_places(&wanted, &from, batch)?;
    let run = fits(&slice)?;
    let lead = &wanted.shape[..wanted.shape.len().saturating_sub(1)];
    let shape = [lead, &slice].concat();
    fits(&shape)?;
    let places: Vec<_> = starts.iter().flat_map(|&s| (s..s + run).map(Some)).collect();
    picked(node, &value, &places, shape)
}

/// The operand with other elements put in these places; of several for one place the last one.
fn replaced(node: &mut Node<'_>, value: &Value, updates: usize, places: &[usize]) -> Results {
    match node.attr_text("reduction", "none")? {
        "none" => {}
        other => {
            return Err(format!(
                "combines what it puts with what is there ({other}), which is not supported. Put the elements into zeros, and \
                 combine with Add or Mul"
            )
            .into());
        }
    }
    let from = node.shape_of_value(value)?;
    let n = fits(&from)?;
    let of_updates = node.operand(updates)?.clone();
    let count = fits(&node.shape_of_value(&of_updates)?)?;
    if count != places.len() {
        return Err(format!("puts {count} elements in {} places", places.len()).into());
    }
    let mut sources: Vec<Option<usize>> = (0..n).map(Some).collect();
    for (i, &place) in places.iter().enumerate() {
        sources[place] = Some(n + i);
    }
    let row = |count: usize| [Movement::Reshape { shape: vec![count] }];
    let name = format!("{}/row", node.name);
    let a = node.move_value_as(name.clone(), value, row(n))?;
    let b = node.move_value_as(format!("{}/updates", node.name), &of_updates, row(count))?;
    let both = match (&a, &b) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a.moved(&Movement::Concat { axis: 0 }, &[b])?),
        _ => {
            let parts: [NodeId; 2] = [node.tensor_of(&a, "elements")?, node.tensor_of(&b, "updates")?];
            let op = cryptflow_graph::Op::Movement(Movement::Concat { axis: 0 });
            Value::Tensor(node.add_part("both", op, &parts)?)
        }
    };
    picked(node, &both, &sources, from)
}

fn scatter_elements(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let at = node.attr_axis("axis", 0, from.len())?;
    let places = element_places(&node.indices(1)?, &from, at)?;
    replaced(node, &value, 2, &places)
}

fn scatter_nd(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let (starts, slice) = slice_places(&node.indices(1)?, &from, 0)?;
    let run = fits(&slice)?;
    fits(&[starts.len(), run])?;
    let places: Vec<usize> = starts.iter().flat_map(|&s| s..s + run).collect();
    replaced(node, &value, 2, &places)
}

/// The elements of an axis, or of all as a row, where a known condition holds.
fn compress(node: &mut Node<'_>) -> Results {
    let mut value = node.operand(0)?.clone();
    let condition = node.indices(1)?;
    let mut from = node.shape_of_value(&value)?;
    let at = if node.has_attribute("axis") {
        axis(node.attr_int("axis", 0)?, from.len())?
    } else {
        from = vec![fits(&from)?];
        value = node.move_value_as(
            format!("{}/row", node.name),
            &value,
            [Movement::Reshape { shape: from.clone() }],
        )?;
        0
    };
    let chosen: Vec<usize> =
        (0..condition.data.len().min(from[at])).filter(|&i| condition.data[i] != 0).collect();
    node.moved(&value, [Movement::Gather { axis: at, indices: chosen }])
}

/// The first elements of each sequence in reverse order, as many as its known length.
fn reverse_sequence(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let lengths = node.lengths(1)?;
    let (batch, time) = (node.attr_int("batch_axis", 1)?, node.attr_int("time_axis", 0)?);
    let (batch, time) = (axis(batch, from.len())?, axis(time, from.len())?);
    if lengths.len() != from[batch] || lengths.iter().any(|&l| l > from[time]) || batch == time {
        return Err(format!("reverses {lengths:?} elements of {from:?}").into());
    }
    let steps = strides(&from);
    let source = |i: usize| {
        let (t, length) = (i / steps[time] % from[time], lengths[i / steps[batch] % from[batch]]);
        Some(if t < length { i - t * steps[time] + (length - 1 - t) * steps[time] } else { i })
    };
    let places: Vec<_> = (0..fits(&from)?).map(source).collect();
    picked(node, &value, &places, from)
}

/// The upper or lower triangle of matrices, zeros elsewhere.
fn triangle(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let upper = node.attr_flag("upper", true)?;
    let k = if node.has(1) { node.int(1)? } else { 0 };
    let &[.., rows, columns] = from.as_slice() else {
        return Err(format!("takes a triangle of {from:?}").into());
    };
    let keeps = |i: usize| {
        let above = (i % columns) as i64 - (i / columns % rows) as i64;
        if upper { above >= k } else { above <= k }
    };
    let places: Vec<_> = (0..fits(&from)?).map(|i| keeps(i).then_some(i)).collect();
    picked(node, &value, &places, from)
}
