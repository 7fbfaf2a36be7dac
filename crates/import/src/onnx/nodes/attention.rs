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

fn count(node: &Node<'_>, name: &str) -> Result<usize, Fault> {
    usize::try_from(node.attr_int(name, 0)?).map_err(|_| Node::wrong(name))
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

fn rotary(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let mut angles = [node.tensor(1)?, node.tensor(2)?];
    let apart = node.shape(x).len() == 4;
    let length = node.shape(x).get(if apart { 2 } else { 1 }).copied().unwrap_or(0);
    if node.has(3) {
        let known = node.ints(3).ok();
        for angles in &mut angles {
            let name = format!("{}/angles_{}", node.name, angles.0);
            *angles = match &known {
                Some(places) => {
                    let from = node.shape(*angles).to_vec();
                    let [rows, pairs] =
                        <[usize; 2]>::try_from(from.as_slice()).map_err(|_| "has no table of angles")?;
                    let indices = places
                        .data
                        .iter()
                        .map(|&i| crate::value::place(i, rows))
                        .collect::<Result<_, _>>()?;
                    let c = &mut node.under(name);
                    let found = c.move_elements(Movement::Gather { axis: 0, indices }, *angles)?;
                    c.reshape([&places.shape[..], &[pairs]].concat(), found)?
                }
                None => {
                    let ids = Ids { node: node.tensor(3)?, from_end: false };
                    compose::looked_up(&mut node.under(name), *angles, 0, ids)?
                }
            };
        }
    }
    for angles in angles {
        if node.shape(angles).len() != 3 || node.shape(angles)[1] != length {
            return Err(
                format!("has angles of the shape {:?} for {length} places", node.shape(angles)).into()
            );
        }
    }
    let side_by_side = node.attr_flag("interleaved", false)?;
    let heads = count(node, "num_heads")?;
    node.composed(|c| {
        let x = if apart { x } else { compose::heads(c, x, heads)? };
        let y = compose::turned(c, x, angles, side_by_side)?;
        if apart { Ok(y) } else { compose::one_after_another(c, y) }
    })
}
