//! Attention, and positions that turn its operands (since version 23).

use cryptflow_ring::Movement;

use super::{Node, Number, Results, Row, Value, row};
use crate::compose::{self, Ids, Mask, Scores};
use crate::docs as doc;
use crate::value::Fault;
use cryptflow_graph::NodeId;

pub(super) const TABLE: &[Row] = &[
    row(
        "Attention",
        attention,
        doc::SOFTMAX
            .note("and products of matrices; without the scores as a result, windows, and lengths of keys"),
    ),
    row("RotaryEmbedding", rotary, doc::PRODUCT.note("a linear map, where the angles are known")),
];

/// Nothing has more heads.
const MOST: usize = 1 << 16;

/// An attribute that counts heads.
pub(super) fn count(node: &Node<'_>, name: &str) -> Result<usize, Fault> {
    let count = usize::try_from(node.attr_int(name, 0)?).ok();
    count.filter(|&count| count <= MOST).ok_or_else(|| Node::wrong(name))
}

fn attention(node: &mut Node<'_>) -> Results {
    if node.is_wanted(3) {
        return Err("gives its scores, which is not supported. End the model without them".into());
    }
    if node.has(6)
        || node.attr_int("left_window_size", -1)? >= 0
        || node.attr_int("right_window_size", -1)? >= 0
    {
        return Err("has lengths of its keys, or a window: put both into its mask".into());
    }
    let mut operands = [node.tensor(0)?, node.tensor(1)?, node.tensor(2)?];
    let apart = node.shape(operands[0]).len() == 4;
    let name = format!("{}/parts", node.name);
    if !apart {
        let kept = count(node, "kv_num_heads")?;
        for (operand, heads) in operands.iter_mut().zip([count(node, "q_num_heads")?, kept, kept]) {
            *operand =
                compose::heads(&mut node.under(format!("{name}/{heads}/{}", operand.0)), *operand, heads)?;
        }
    }
    let mut before = 0;
    for (at, past) in [(1, 4), (2, 5)] {
        if node.has(past) {
            let past = node.tensor(past)?;
            before = node.shape(past).get(2).copied().unwrap_or(0);
            let part = format!("present_{at}");
            operands[at] = node.add_part(&part, Movement::Concat { axis: 2 }, &[past, operands[at]])?;
        }
    }
    let size = node.shape(operands[0]).last().copied().unwrap_or(1);
    let scale = node.attr_float("scale", 0.0)?;
    let cap = node.attr_float("softcap", 0.0)?;
    let causal = node.attr_flag("is_causal", false)?.then_some(before);
    let scores = Scores {
        scale: if scale == 0.0 { 1.0 / (size as f32).sqrt() } else { scale },
        mask: mask(node, 3, operands[1])?,
        causal,
        cap: (cap > 0.0).then_some(cap),
    };
    let mut results = node.composed(|c| {
        let y = compose::attention(c, operands, scores)?;
        if apart { Ok(y) } else { compose::one_after_another(c, y) }
    })?;
    results.extend([operands[1], operands[2]].map(Value::Tensor));
    Ok(results)
}

/// A mask as wide as there are keys, and what it holds.
fn mask(node: &mut Node<'_>, i: usize, keys: NodeId) -> Result<Option<(NodeId, Mask)>, Fault> {
    if !node.has(i) {
        return Ok(None);
    }
    let holds = if node.number(i) == Number::Flag { Mask::Seen } else { Mask::Added };
    let mask = node.tensor(i)?;
    let (have, keys) = (node.shape(mask).last().copied(), node.shape(keys).get(2).copied());
    if have != keys && have != Some(1) {
        return Err(format!("has a mask of the shape {:?} for {keys:?} keys", node.shape(mask)).into());
    }
    Ok(Some((mask, holds)))
}

/// How pairs of numbers are turned.
#[derive(Clone, Copy)]
pub(super) struct Turning {
    /// The operands that hold cosines and sines: a row for each place, or for each place of each row of the batch.
    pub(super) tables: [usize; 2],
    /// The operand that says the place of each element, or the first one of all; they are counted from zero where
    /// none does.
    pub(super) places: Option<usize>,
    /// Whether pairs lie side by side, or half of them behind the other.
    pub(super) side_by_side: bool,
}

/// Pairs of numbers of each head turned by the angles of their places: `[batch, heads, length, size]`.
pub(super) fn turned_by(node: &mut Node<'_>, x: NodeId, turning: Turning) -> Result<NodeId, Fault> {
    let length = node.shape(x).get(2).copied().unwrap_or(0);
    let mut angles = [node.tensor(turning.tables[0])?, node.tensor(turning.tables[1])?];
    for (angles, table) in angles.iter_mut().zip(turning.tables) {
        let name = format!("{}/angles_{table}_{}", node.name, x.0);
        *angles = of_places(node, name, *angles, turning.places, length)?;
        if node.shape(*angles).len() != 3 || node.shape(*angles)[1] != length {
            return Err(
                format!("has angles of the shape {:?} for {length} places", node.shape(*angles)).into()
            );
        }
    }
    let name = format!("{}/turned_{}", node.name, x.0);
    compose::turned(&mut node.under(name), x, angles, turning.side_by_side)
}

/// The angles of places, of which a table has a row for each.
fn of_places(
    node: &mut Node<'_>,
    name: String,
    angles: NodeId,
    places: Option<usize>,
    length: usize,
) -> Result<NodeId, Fault> {
    let from = node.shape(angles).to_vec();
    let Ok([rows, pairs]) = <[usize; 2]>::try_from(from.as_slice()) else { return Ok(angles) };
    let too_long = || Fault::from(format!("has {length} places, and angles for {rows}"));
    let (shape, indices) = match places {
        None if length > rows => return Err(too_long()),
        None => (vec![1, length], (0..length as i64).collect()),
        Some(places) => match node.ints(places) {
            Ok(first) if first.data.len() == 1 && length > 1 => {
                if length > rows {
                    return Err(too_long());
                }
                let first = first.data[0];
                (vec![1, length], (0..length as i64).map(|i| first.saturating_add(i)).collect())
            }
            Ok(all) => (all.shape, all.data),
            Err(_) => {
                let ids = Ids { node: node.tensor(places)?, from_end: false };
                return compose::looked_up(&mut node.under(name), angles, 0, ids);
            }
        },
    };
    let indices = indices.iter().map(|&i| crate::value::place(i, rows)).collect::<Result<_, _>>()?;
    let c = &mut node.under(name);
    let found = c.move_elements(Movement::Gather { axis: 0, indices }, angles)?;
    c.reshape([&shape[..], &[pairs]].concat(), found)
}

fn rotary(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let apart = node.shape(x).len() == 4;
    let places = if node.has(3) { Some(3) } else { None };
    let side_by_side = node.attr_flag("interleaved", false)?;
    let name = format!("{}/heads", node.name);
    let heads = count(node, "num_heads")?;
    let own = if apart { x } else { compose::heads(&mut node.under(name), x, heads)? };
    let y = turned_by(node, own, Turning { tables: [1, 2], places, side_by_side })?;
    node.composed(|c| if apart { Ok(y) } else { compose::one_after_another(c, y) })
}
