//! Quantisation that a model was trained for: numbers that are put on a grid and taken from it at once.
//! What is constant is put there; what depends on an input is cut off at the grid's ends, and else goes on as it is,
//! as fixed point is a finer grid already.

use super::{Node, Results, Row, row};
use crate::compose;
use crate::docs as doc;
use crate::value::Fault;
use cryptflow_graph::{Arithmetic, Array};

pub(super) const TABLE: &[Row] = &[
    row("FakeQuantWithMinMaxArgs", by_attributes, doc::CLIP.note(doc::notes::FAKE)),
    row("FakeQuantWithMinMaxVars", by_operands, doc::CLIP.note(doc::notes::FAKE)),
    row("FakeQuantWithMinMaxVarsPerChannel", by_operands, doc::CLIP.note(doc::notes::FAKE)),
];

fn by_attributes(node: &mut Node<'_>) -> Results {
    let (low, high) = (node.attr_float("min", -6.0)?, node.attr_float("max", 6.0)?);
    fake(node, &[low], &[high])
}

/// A grid for all, or one for each index along the last axis.
fn by_operands(node: &mut Node<'_>) -> Results {
    let (low, high) = (node.known(1)?, node.known(2)?);
    fake(node, &low.data, &high.data)
}

/// The first point of a grid that has zero as a point, its last one, and their distance.
fn nudged(low: f32, high: f32, steps: [f32; 2]) -> Option<[f32; 3]> {
    let [first, last] = steps;
    let scale = (high - low) / (last - first);
    let zero = (first - low / scale).round().clamp(first, last);
    (scale > 0.0 && scale.is_finite()).then_some([(first - zero) * scale, (last - zero) * scale, scale])
}

fn fake(node: &mut Node<'_>, lows: &[f32], highs: &[f32]) -> Results {
    let bits = node.attr_int("num_bits", 8)?;
    if !(2..=16).contains(&bits) {
        return Err(Node::wrong("num_bits"));
    }
    let steps = [f32::from(u8::from(node.attr_flag("narrow_range", false)?)), ((1 << bits) - 1) as f32];
    let grids = lows.iter().zip(highs).map(|(&low, &high)| nudged(low, high, steps));
    let grids = grids.collect::<Option<Vec<_>>>().filter(|grids| !grids.is_empty());
    let grids = grids.ok_or_else(|| Fault::from("has a grid from a number to a smaller one"))?;
    let x = node.tensor(0)?;
    if let Some(array) = node.constant_of(x).cloned() {
        let on_grid = |(&x, [low, high, scale]): (&f32, &[f32; 3])| {
            let distance = ((x.clamp(*low, *high) - low) / scale + 0.5).floor();
            distance * scale + low
        };
        let data = array.data.iter().zip(grids.iter().cycle()).map(on_grid).collect();
        let value = node.add_known(Array::new(array.shape, data)?);
        return Ok(vec![super::Value::Tensor(value)]);
    }
    if let [[low, high, _]] = grids.as_slice() {
        let (low, high) = (Some(*low), Some(*high));
        return node.composed(|c| compose::within(c, x, low, high));
    }
    let ends = |i: usize| Array::vector(grids.iter().map(|grid| grid[i]).collect());
    let [low, high] = [node.add_constant("min", ends(0)), node.add_constant("max", ends(1))];
    let above = node.add_part("above", Arithmetic::Maximum, &[x, low])?;
    node.result(Arithmetic::Minimum, &[above, high])
}
