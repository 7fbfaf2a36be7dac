//! Borders: of a constant, or of the operand's own elements.

use cryptflow_ring::Movement;

use super::{Node, Results, Row, Value, row};
use crate::docs as doc;
use crate::value::{Fault, MAX_ELEMENTS, axes};

pub(super) const TABLE: &[Row] = &[
    row("Pad", pad, doc::MOVEMENT.note("with one constant; `reflect`, `edge` and `wrap`, too")),
    row("CenterCropPad", centred, doc::MOVEMENT),
];

/// Lengths before and after each axis, attributes up to version 10, operands since 11; negative
/// ones cut.
fn lengths(node: &Node<'_>, rank: usize) -> Result<Vec<[i64; 2]>, Fault> {
    let pads = node.needed_ints("pads", 1)?;
    let axes = if node.has(3) { axes(&node.ints(3)?.data, rank)? } else { (0..rank).collect() };
    let n = axes.len();
    if pads.len() != 2 * n || pads.iter().any(|p| p.unsigned_abs() > MAX_ELEMENTS as u64) {
        return Err(format!("has the impossible pads {pads:?} for {n} axes").into());
    }
    let mut lengths = vec![[0; 2]; rank];
    for (i, axis) in axes.into_iter().enumerate() {
        lengths[axis] = [pads[i], pads[i + n]];
    }
    Ok(lengths)
}

fn pad(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let pads = lengths(node, from.len())?;
    let mode = node.attr_text("mode", "constant")?.to_owned();
    if mode != "constant" {
        return around(node, &value, &from, &pads, &mode);
    }
    let filling = match node.has(2) {
        true => node.known_number(2)?,
        false => node.attr_float("value", 0.0)?,
    };
    // What is cut goes first.
    let cut = |p: i64| usize::try_from(-p).unwrap_or(0);
    let begin: Vec<usize> = pads.iter().map(|p| cut(p[0])).collect();
    let rest = from.iter().zip(&pads).map(|(&n, p)| n.checked_sub(cut(p[0]))?.checked_sub(cut(p[1])));
    let size =
        rest.collect::<Option<Vec<_>>>().ok_or_else(|| format!("cuts more than there is of {from:?}"))?;
    let side = |i: usize| pads.iter().map(|p| usize::try_from(p[i]).unwrap_or(0)).collect::<Vec<_>>();
    let zeros = Movement::Pad { before: side(0), after: side(1) };
    let mut steps = Vec::new();
    if size != from {
        steps.push(Movement::Slice { begin, size, stride: vec![1; from.len()] });
    }
    if filling == 0.0 {
        steps.push(zeros);
        return node.moved(&value, steps);
    }
    let mut x = node.tensor_of(&value, "operand_0")?;
    if let Some(cut) = steps.pop() {
        x = node.move_part("cut", cut, x)?;
    }
    node.bordered(x, zeros, filling)
}

/// Cuts or pads axes to known lengths, the same on both sides; the odd element goes behind.
fn centred(node: &mut Node<'_>) -> Results {
    let (value, from) = node.shaped(0)?;
    let wanted = node.lengths(1)?;
    let axes = match node.attr_ints("axes")? {
        Some(given) => axes(&given, from.len())?,
        None => (0..from.len()).collect(),
    };
    if axes.len() != wanted.len() {
        return Err(format!("gives {} axes the lengths {wanted:?}", axes.len()).into());
    }
    let zeros = || vec![0; from.len()];
    let (mut begin, mut size, mut before, mut after) = (zeros(), from.clone(), zeros(), zeros());
    for (&a, &to) in axes.iter().zip(&wanted) {
        begin[a] = from[a].saturating_sub(to) / 2;
        size[a] = from[a].min(to);
        let missing = to.saturating_sub(from[a]);
        (before[a], after[a]) = (missing / 2, missing - missing / 2);
    }
    let stride = vec![1; from.len()];
    let steps = [Movement::Slice { begin, size, stride }, Movement::Pad { before, after }];
    node.moved(&value, steps)
}

/// Every element of the result is one of the operand: which one, axis by axis.
fn around(node: &mut Node<'_>, value: &Value, from: &[usize], pads: &[[i64; 2]], mode: &str) -> Results {
    let mut steps = Vec::new();
    for (axis, (&n, &[before, after])) in from.iter().zip(pads).enumerate() {
        if before == 0 && after == 0 {
            continue;
        }
        let length = n as i64;
        if n == 0 || length + before + after > MAX_ELEMENTS as i64 {
            return Err(format!("pads axis {axis} of {from:?} by {before} and {after}").into());
        }
        let period = (2 * (length - 1)).max(1);
        let source = |i: i64| match mode {
            "reflect" => {
                let at = i.rem_euclid(period);
                Some(if at < length { at } else { period - at })
            }
            "edge" => Some(i.clamp(0, length - 1)),
            "wrap" => Some(i.rem_euclid(length)),
            _ => None,
        };
        let indices = (-before..length + after).map(|i| source(i).and_then(|i| usize::try_from(i).ok()));
        let indices = indices.collect::<Option<Vec<_>>>().ok_or_else(|| Node::wrong("mode"))?;
        steps.push(Movement::Gather { axis, indices });
    }
    if steps.is_empty() {
        steps.push(Movement::Reshape { shape: from.to_vec() });
    }
    node.moved(value, steps)
}
