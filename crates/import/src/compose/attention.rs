//! Attention of several heads, and positions that turn its operands.

use cryptflow_ring::Movement;

use super::product::matmul;
use crate::budget::check_made;
use crate::builder::Builder;
use crate::value::Fault;
use cryptflow_graph::{Activation, Arithmetic, Array, Function, NodeId};

/// What hides places, and what is done to the scores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scores {
    /// What scores are multiplied with.
    pub(crate) scale: f32,
    /// Added to the scores, or flags of the places that are seen; broadcasts to them.
    pub(crate) mask: Option<(NodeId, Mask)>,
    /// How many keys are before the first query, where queries see nothing that comes later.
    pub(crate) causal: Option<usize>,
    /// What scores stay below, softly: `cap · tanh(score / cap)`.
    pub(crate) cap: Option<f32>,
}

/// What a mask holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    /// Numbers that are added.
    Added,
    /// Flags: what is seen.
    Seen,
}

/// `[batch, length, heads · size]` as `[batch, heads, length, size]`.
pub(crate) fn heads(c: &mut Builder<'_>, x: NodeId, heads: usize) -> Result<NodeId, Fault> {
    let &[batch, length, width] = c.shape(x) else {
        return Err(format!("has an operand of the shape {:?} in place of three axes", c.shape(x)).into());
    };
    if heads == 0 || !width.is_multiple_of(heads) {
        return Err(format!("has {heads} heads of {width} numbers").into());
    }
    let apart = c.reshape(vec![batch, length, heads, width / heads], x)?;
    c.transpose(vec![0, 2, 1, 3], apart)
}

/// The way back.
pub(crate) fn one_after_another(c: &mut Builder<'_>, x: NodeId) -> Result<NodeId, Fault> {
    let [batch, heads, length, size] = four(c, x)?;
    let x = c.transpose(vec![0, 2, 1, 3], x)?;
    c.reshape(vec![batch, length, heads * size], x)
}

fn four(c: &Builder<'_>, x: NodeId) -> Result<[usize; 4], Fault> {
    <[usize; 4]>::try_from(c.shape(x)).map_err(|_| {
        Fault::from(format!("has an operand of the shape {:?} in place of four axes", c.shape(x)))
    })
}

/// `softmax(scale · q · kᵀ + mask) · v`, of `[batch, heads, length, size]`. Heads of k and v serve as many of q each
/// as there are more of these.
pub(crate) fn attention(
    c: &mut Builder<'_>,
    [q, k, v]: [NodeId; 3],
    scores: Scores,
) -> Result<NodeId, Fault> {
    let [_, count, queries, _] = four(c, q)?;
    let [k, v] = [each_head(c, k, count)?, each_head(c, v, count)?];
    let [_, _, keys, _] = four(c, k)?;
    let scale = c.add_numbered_constant(Array::scalar(scores.scale));
    let q = c.add_numbered(Arithmetic::Mul, &[q, scale])?;
    let k = c.transpose(vec![0, 1, 3, 2], k)?;
    let mut seen = matmul(c, (q, false), (k, false), 2)?;
    if let Some(cap) = scores.cap {
        let [by, back] = [1.0 / cap, cap].map(|number| c.add_numbered_constant(Array::scalar(number)));
        seen = c.add_numbered(Arithmetic::Mul, &[seen, by])?;
        seen = c.add_numbered(Function::TANH, &[seen])?;
        seen = c.add_numbered(Arithmetic::Mul, &[seen, back])?;
    }
    let mut hidden = None;
    match scores.mask {
        Some((mask, Mask::Added)) => seen = c.add_numbered(Arithmetic::Add, &[seen, mask])?,
        Some((mask, Mask::Seen)) => {
            let one = c.add_numbered_constant(Array::scalar(1.0));
            hidden = Some(c.add_numbered(Arithmetic::Sub, &[one, mask])?);
        }
        None => {}
    }
    if let Some(before) = scores.causal {
        check_made(&[queries, keys])?;
        let later = |i: usize| f32::from(u8::from(i % keys > i / keys + before));
        let later = Array::new(vec![queries, keys], (0..queries * keys).map(later).collect())?;
        let later = c.add_numbered_constant(later);
        hidden = Some(match hidden {
            None => later,
            Some(hidden) => {
                let one = c.add_numbered_constant(Array::scalar(1.0));
                c.add_numbered(Arithmetic::Select, &[later, one, hidden])?
            }
        });
    }
    // A query that sees nothing gets zeros.
    let chances = match hidden {
        None => c.add_numbered(Activation::Softmax, &[seen])?,
        Some(hidden) => c.add_numbered(Activation::MaskedSoftmax, &[seen, hidden])?,
    };
    matmul(c, (chances, false), (v, false), 2)
}

/// Each head as often as it is needed for so many.
fn each_head(c: &mut Builder<'_>, x: NodeId, count: usize) -> Result<NodeId, Fault> {
    let [batch, heads, length, size] = four(c, x)?;
    if heads == count {
        return Ok(x);
    }
    if heads == 0 || !count.is_multiple_of(heads) {
        return Err(format!("has {count} heads of queries for {heads} of keys").into());
    }
    let x = c.reshape(vec![batch, heads, 1, length, size], x)?;
    let x =
        c.move_elements(Movement::Broadcast { shape: vec![batch, heads, count / heads, length, size] }, x)?;
    c.reshape(vec![batch, count, length, size], x)
}

/// Pairs of numbers turned by angles: `[batch, heads, length, size]`, with cosines and sines of `[batch, length,
/// pairs]`. Pairs lie side by side, or half of them behind the other; what is left of each head stays.
pub(crate) fn turned(
    c: &mut Builder<'_>,
    x: NodeId,
    [cosine, sine]: [NodeId; 2],
    side_by_side: bool,
) -> Result<NodeId, Fault> {
    let [batch, heads, length, size] = four(c, x)?;
    let pairs = c.shape(cosine).last().copied().unwrap_or(0);
    if c.shape(cosine) != c.shape(sine) || pairs == 0 || 2 * pairs > size {
        return Err(format!("turns {size} numbers by {:?} angles", c.shape(cosine)).into());
    }
    let of_heads = |c: &mut Builder<'_>, angles: NodeId| {
        let lead = c.shape(angles)[0];
        c.reshape(vec![lead, 1, length, pairs], angles)
    };
    let (cosine, sine) = (of_heads(c, cosine)?, of_heads(c, sine)?);
    let [first, second] = if side_by_side {
        [c.cut(3, 0, pairs, 2, x)?, c.cut(3, 1, pairs, 2, x)?]
    } else {
        [c.cut(3, 0, pairs, 1, x)?, c.cut(3, pairs, pairs, 1, x)?]
    };
    let mut product = |a, b| c.add_numbered(Arithmetic::Mul, &[a, b]);
    let [a, b, d, e] =
        [product(first, cosine)?, product(second, sine)?, product(first, sine)?, product(second, cosine)?];
    let along = c.add_numbered(Arithmetic::Sub, &[a, b])?;
    let across = c.add_numbered(Arithmetic::Add, &[d, e])?;
    let turned = if side_by_side {
        let [along, across] =
            [along, across].map(|part| c.reshape(vec![batch, heads, length, pairs, 1], part));
        let both = c.add_numbered(Movement::Concat { axis: 4 }, &[along?, across?])?;
        c.reshape(vec![batch, heads, length, 2 * pairs], both)?
    } else {
        c.add_numbered(Movement::Concat { axis: 3 }, &[along, across])?
    };
    if 2 * pairs == size {
        return Ok(turned);
    }
    let rest = c.cut(3, 2 * pairs, size - 2 * pairs, 1, x)?;
    c.add_numbered(Movement::Concat { axis: 3 }, &[turned, rest])
}
