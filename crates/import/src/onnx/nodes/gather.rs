//! Elements picked, placed and masked by known indices: all of them movements.

use cryptflow_ring::Movement;

use super::{Node, Number, Results, Row, Value, row};
use crate::budget::check_made;
use crate::builder::Builder;
use crate::compose::{self, Ids};
use crate::docs as doc;
use crate::value::{Fault, Ints, axis, fits, place};
use cryptflow_graph::{Arithmetic, Array, NodeId};

pub(super) const TABLE: &[Row] = &[
    row("Gather", gather, doc::MOVEMENT.note(doc::notes::LOOKED_UP)),
    row("GatherElements", gather_elements, doc::MOVEMENT.note(doc::notes::LOOKED_UP)),
    row("GatherND", gather_nd, doc::MOVEMENT.note(doc::notes::LOOKED_UP)),
    row("ScatterElements", scatter_elements, doc::MOVEMENT.note(doc::notes::REPLACED)),
    row("Scatter", scatter_elements, doc::MOVEMENT.note(doc::notes::REPLACED)),
    row("ScatterND", scatter_nd, doc::MOVEMENT.note(doc::notes::REPLACED)),
    row("Col2Im", columns_to_pictures, doc::SUM.note("of what lies over each other, of known windows")),
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
    if let Some(ids) = ids(node, 1).filter(|_| node.attr_int("batch_dims", 0).is_ok_and(|batch| batch == 0)) {
        let x = node.tensor(0)?;
        return node.composed(|c| compose::slices_looked_up(c, x, ids.node));
    }
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

/// Elements put in these places of the operand: in the place of what is there, or combined with it.
fn put(node: &mut Node<'_>, value: &Value, updates: usize, places: &[usize]) -> Results {
    let reduction = match node.attr_text("reduction", "none")? {
        "none" => return replaced(node, value, updates, places),
        "add" => Arithmetic::Add,
        "mul" => Arithmetic::Mul,
        "max" => Arithmetic::Maximum,
        "min" => Arithmetic::Minimum,
        _ => return Err(Node::wrong("reduction")),
    };
    let x = node.tensor_of(value, "elements")?;
    let updates = node.tensor(updates)?;
    node.composed(|c| combined(c, x, updates, places, &reduction))
}

/// Several elements may go to one place: one after another, in as many steps as there are for one place.
const MOST_FOR_ONE_PLACE: usize = 256;

/// The elements of a value, combined with those of another one in these places.
fn combined(
    c: &mut Builder<'_>,
    x: NodeId,
    updates: NodeId,
    places: &[usize],
    reduction: &Arithmetic,
) -> Result<NodeId, Fault> {
    let shape = c.shape(x).to_vec();
    let (n, count) = (fits(&shape)?, fits(c.shape(updates))?);
    if count != places.len() {
        return Err(format!("puts {count} elements in {} places", places.len()).into());
    }
    // In each step the element that goes to a place, if one does.
    let mut steps: Vec<Vec<Option<usize>>> = Vec::new();
    let mut taken = vec![0; n];
    for (i, &place) in places.iter().enumerate() {
        let step = taken[place];
        taken[place] += 1;
        if step == steps.len() {
            if step == MOST_FOR_ONE_PLACE {
                return Err(format!("puts more than {MOST_FOR_ONE_PLACE} elements in one place").into());
            }
            check_made(&[step + 1, n])?;
            steps.push(vec![None; n]);
        }
        steps[step][place] = Some(i);
    }
    let mut all = c.reshape(vec![n], x)?;
    let row = c.reshape(vec![count], updates)?;
    for step in steps {
        let part = if matches!(reduction, Arithmetic::Maximum | Arithmetic::Minimum) {
            // Where nothing goes, what is there.
            let both = c.add_numbered(Movement::Concat { axis: 0 }, &[all, row])?;
            let indices = step.iter().enumerate().map(|(i, from)| from.map_or(i, |from| n + from)).collect();
            c.move_elements(Movement::Gather { axis: 0, indices }, both)?
        } else {
            let with_zero = c.move_elements(Movement::Pad { before: vec![0], after: vec![1] }, row)?;
            let indices = step.iter().map(|from| from.unwrap_or(count)).collect();
            let part = c.move_elements(Movement::Gather { axis: 0, indices }, with_zero)?;
            if *reduction == Arithmetic::Mul {
                let ones = step.iter().map(|from| f32::from(u8::from(from.is_none()))).collect();
                let ones = c.add_numbered_constant(Array::vector(ones));
                c.add_numbered(Arithmetic::Add, &[part, ones])?
            } else {
                part
            }
        };
        all = c.add_numbered(reduction.clone(), &[all, part])?;
    }
    c.reshape(shape, all)
}

/// The operand with other elements put in these places; of several for one place the last one.
fn replaced(node: &mut Node<'_>, value: &Value, updates: usize, places: &[usize]) -> Results {
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
    put(node, &value, 2, &places)
}

fn scatter_nd(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let (starts, slice) = slice_places(&node.indices(1)?, &from, 0)?;
    let run = fits(&slice)?;
    fits(&[starts.len(), run])?;
    let places: Vec<usize> = starts.iter().flat_map(|&s| s..s + run).collect();
    put(node, &value, 2, &places)
}

/// Columns, of which each holds the window of one place, put where they lie in a picture, and summed where they
/// lie over each other.
fn columns_to_pictures(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let (image, block) = (node.lengths(1)?, node.lengths(2)?);
    let &[batch, rows, columns] = node.shape(x) else {
        return Err(format!("has columns of the shape {:?}", node.shape(x)).into());
    };
    let rank = image.len();
    let window: usize = fits(&block)?.max(1);
    let channels = rows / window;
    let given = |node: &Node<'_>, name: &str, n: usize, default: usize| -> Result<Vec<usize>, Fault> {
        match node.attr_ints(name)? {
            None => Ok(vec![default; n]),
            Some(values) if values.len() == n => {
                values.iter().map(|&v| usize::try_from(v).map_err(|_| Node::wrong(name))).collect()
            }
            Some(_) => Err(Node::wrong(name)),
        }
    };
    let strides_of = given(node, "strides", rank, 1)?;
    let dilations = given(node, "dilations", rank, 1)?;
    let pads = given(node, "pads", 2 * rank, 0)?;
    let mut counts = Vec::with_capacity(rank);
    for a in 0..rank.min(block.len()) {
        let padded = image[a].saturating_add(pads[a]).saturating_add(pads[rank + a]);
        let extent = block[a].saturating_sub(1).saturating_mul(dilations[a]).saturating_add(1);
        if strides_of[a] == 0 || extent > padded {
            return Err(format!("puts windows of {block:?} in {image:?}").into());
        }
        counts.push((padded - extent) / strides_of[a] + 1);
    }
    let size = fits(&image)?;
    if block.len() != rank || size == 0 || rows != channels * window || fits(&counts)? != columns {
        return Err(format!("puts {columns} windows of {block:?} in {image:?}").into());
    }
    let (taps, of_image, of_counts) = (strides(&block), strides(&image), strides(&counts));
    let whole = check_made(&[batch, channels, size])?;
    fits(&[batch, rows, columns])?;
    // What lies outside of the picture is put behind it, and cut off.
    let place = |i: usize| {
        let (column, row) = (i % columns, i / columns);
        let (tap, picture) = (row % window, row / window);
        let mut at = 0;
        for a in 0..rank {
            let tap = tap / taps[a] % block[a] * dilations[a];
            let padded = column / of_counts[a] % counts[a] * strides_of[a] + tap;
            let inside = padded.checked_sub(pads[a]).filter(|&p| p < image[a])?;
            at += inside * of_image[a];
        }
        Some(picture * size + at)
    };
    let all: Vec<Option<usize>> = (0..batch * rows * columns).map(place).collect();
    let kept: Vec<usize> = (0..all.len()).filter(|&i| all[i].is_some()).collect();
    let places: Vec<usize> = all.into_iter().flatten().collect();
    let zeros = node.add_constant("zeros", Array::filled(vec![whole], 0.0)?);
    let shape = [&[batch, channels], &image[..]].concat();
    node.composed(|c| {
        let row = c.reshape(vec![batch * rows * columns], x)?;
        let row = c.move_elements(Movement::Gather { axis: 0, indices: kept }, row)?;
        let sum = combined(c, zeros, row, &places, &Arithmetic::Add)?;
        c.reshape(shape, sum)
    })
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
