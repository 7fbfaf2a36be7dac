//! Elements at known places, and sums along an axis.

use super::{Node, Results, Row, Value, row};
use crate::compose::{self, Ids};
use crate::docs as doc;
use crate::value::{Ints, fits};
use cryptflow_graph::Array;
use cryptflow_ring::Movement;

pub(super) const TABLE: &[Row] = &[
    row("GatherV2", gather, doc::MOVEMENT.note(doc::notes::LOOKED_UP)),
    row("Roll", roll, doc::MOVEMENT),
    row("Gather", gather, doc::MOVEMENT.note(doc::notes::LOOKED_UP)),
    row("ResourceGather", gather, doc::MOVEMENT.note(doc::notes::LOOKED_UP)),
    row("OneHot", one_hot, doc::COMPARISON.note(doc::notes::ONE_HOT)),
    row("Cumsum", |n| n.cumulated(), doc::LINEAR.note(doc::notes::TRIANGLE)),
    row("LRN", lrn, doc::POWER.note("of a sum of squares of neighbours, and a product; channels last")),
];

fn gather(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let axis = if node.has(2) { node.int(2)? } else { 0 };
    let axis = crate::value::axis(axis, from.len())?;
    let batch = node.attr_int("batch_dims", 0)?;
    if batch != 0 {
        return of_batch(node, &value, axis, batch);
    }
    if let Some(ids) = node.secret_indices(1) {
        let table = node.tensor(0)?;
        return node.composed(|c| compose::looked_up(c, table, axis, Ids { node: ids, from_end: false }));
    }
    let indices = node.indices(1)?;
    // Negative ones are none here.
    let place = |&i: &i64| usize::try_from(i).ok().filter(|&i| i < from[axis]);
    let places = indices.data.iter().map(place).collect::<Option<Vec<_>>>();
    let places = places.ok_or_else(|| format!("picks entries {:?} of {}", indices.data, from[axis]))?;
    node.gathered(&value, axis, places, &indices.shape)
}

fn one_hot(node: &mut Node<'_>) -> Results {
    if let Some(ids) = node.secret_indices(0) {
        let [on, off] = [node.known_number(2)?, node.known_number(3)?];
        return node.one_hot_of(Ids { node: ids, from_end: false }, [off, on]);
    }
    let values = match (node.operand(2)?, node.operand(3)?) {
        (Value::Int(_), Value::Int(_)) => Value::Int(Ints::vector(vec![node.int(3)?, node.int(2)?])),
        _ => {
            let [on, off] = [node.known_number(2)?, node.known_number(3)?];
            Value::Tensor(node.add_constant("values", Array::vector(vec![off, on])))
        }
    };
    let indices = node.ints(0)?;
    node.one_hot(&indices, &values)
}

/// Each channel by a power of the sum of squares of its neighbours.
fn lrn(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let radius = usize::try_from(node.attr_int("depth_radius", 5)?);
    let radius = radius.map_err(|_| Node::wrong("depth_radius"))?;
    let (alpha, bias) = (node.attr_float("alpha", 1.0)?, node.attr_float("bias", 1.0)?);
    let numbers = [alpha, bias, node.attr_float("beta", 0.5)?];
    let last = node.last_axis(x)?;
    node.composed(|c| compose::local_response(c, x, last, [radius; 2], numbers))
}

/// Other entries for each index of the first axes, at known places.
fn of_batch(node: &mut Node<'_>, value: &Value, axis: usize, batch: i64) -> Results {
    let (from, wanted) = (node.shape_of_value(value)?, node.indices(1)?);
    let rank = wanted.shape.len();
    let batch = if batch < 0 { batch + rank as i64 } else { batch };
    let batch = usize::try_from(batch).ok().filter(|&b| b <= rank && b <= axis);
    let batch = batch.filter(|&b| from[..b] == wanted.shape[..b]).ok_or_else(|| Node::wrong("batch_dims"))?;
    let product = |lengths: &[usize]| lengths.iter().product::<usize>();
    let (outer, between) = (product(&from[..batch]), product(&from[batch..axis]));
    let (length, inner) = (from[axis], product(&from[axis + 1..]));
    let each = product(&wanted.shape[batch..]);
    let shape = [&from[..axis], &wanted.shape[batch..], &from[axis + 1..]].concat();
    let mut places = Vec::with_capacity(fits(&shape)?);
    for o in 0..outer {
        for b in 0..between {
            for &index in &wanted.data[o * each..][..each] {
                let index = usize::try_from(index).ok().filter(|&i| i < length);
                let index = index.ok_or_else(|| format!("picks entries {:?} of {length}", wanted.data))?;
                let start = ((o * between + b) * length + index) * inner;
                places.extend(start..start + inner);
            }
        }
    }
    let flat = Movement::Reshape { shape: vec![fits(&from)?] };
    node.moved(value, [flat, Movement::Gather { axis: 0, indices: places }, Movement::Reshape { shape }])
}

/// Elements that come back at the front when they go out at the end.
fn roll(node: &mut Node<'_>) -> Results {
    let (value, shape) = node.shaped(0)?;
    let (shifts, axes) = (node.ints(1)?.data, node.ints(2)?.data);
    let mut steps = Vec::with_capacity(axes.len());
    for (&shift, &axis) in shifts.iter().zip(&axes) {
        let axis = crate::value::axis(axis, shape.len())?;
        let n = shape[axis].max(1);
        // Where what comes first was.
        let first = usize::try_from(shift.wrapping_neg().rem_euclid(n as i64)).unwrap_or(0);
        steps.push(Movement::Gather { axis, indices: (0..shape[axis]).map(|i| (i + first) % n).collect() });
    }
    node.moved(&value, steps)
}
