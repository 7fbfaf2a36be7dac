//! Elements at known places, and sums along an axis.

use super::{Node, Results, Row, Value, row};
use crate::compose::{self, Ids};
use crate::docs as doc;
use crate::value::Ints;
use cryptflow_graph::Array;

pub(super) const TABLE: &[Row] = &[
    row("GatherV2", gather, doc::MOVEMENT.note(doc::notes::LOOKED_UP)),
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
    if node.attr_int("batch_dims", 0)? != 0 {
        return Err("picks other entries for each part of the batch. Flatten the batch into the axis, with \
             indices to match"
            .into());
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
