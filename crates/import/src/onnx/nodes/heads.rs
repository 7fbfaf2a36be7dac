//! Attention of ONNX Runtime (`com.microsoft`), which its optimiser and its builder of language models make.

use super::attention::{Turning, count, turned_by};
use super::{Gives, Node, Number, Results, Row, Value, row};
use crate::budget::check_made;
use crate::compose::{self, Mask, Scores};
use crate::docs as doc;
use crate::value::Fault;
use cryptflow_graph::{Arithmetic, Array, Comparison, NodeId};
use cryptflow_ring::Movement;

const FLOATS: Gives = Gives::All(Number::Float);

pub(super) const TABLE: &[Row] = &[
    row("Attention", attention, doc::SOFTMAX.note("and products of matrices")),
    row(
        "MultiHeadAttention",
        of_heads,
        doc::SOFTMAX.note("and products of matrices; without the scores as a result"),
    ),
    row(
        "GroupQueryAttention",
        of_groups,
        doc::SOFTMAX.note(
            "and products of matrices; of a prompt, without what came before it; what is computed of its padding is not what ONNX \
             Runtime has there",
        ),
    )
    .gives(FLOATS),
    row("RotaryEmbedding", rotary, doc::PRODUCT.note("a linear map, where the angles are known")),
];

/// `scale`, or what it is where none is given.
fn scale(node: &Node<'_>, size: usize) -> Result<f32, Fault> {
    let scale = node.attr_float("scale", 0.0)?;
    Ok(if scale == 0.0 { 1.0 / (size.max(1) as f32).sqrt() } else { scale })
}

/// Parts of the last axis, one after another.
fn parts<const N: usize>(node: &mut Node<'_>, x: NodeId, sizes: [usize; N]) -> Result<[NodeId; N], Fault> {
    let shape = node.shape(x).to_vec();
    let last = shape.len().checked_sub(1).ok_or("has an operand that is one number")?;
    let sum = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
    if sum != Some(shape[last]) {
        return Err(format!("has an operand of the shape {shape:?} for parts of {sizes:?}").into());
    }
    let name = format!("{}/parts", node.name);
    let c = &mut node.under(name);
    let mut first = 0;
    let mut parts = [x; N];
    for (part, size) in parts.iter_mut().zip(sizes) {
        let movement = crate::value::along(&shape, last, first, size, 1);
        *part = c.move_elements(movement, x)?;
        first += size;
    }
    Ok(parts)
}

/// What a mask of numbers shows: what is not zero. As many keys as there are, for each row of the batch, or for
/// each query, too; or how many keys each row has.
fn shown(node: &mut Node<'_>, i: usize, [batch, queries, keys]: [usize; 3]) -> Result<(NodeId, Mask), Fault> {
    let mask = node.tensor(i)?;
    let shape = node.shape(mask).to_vec();
    let flag = node.number(i) == Number::Flag;
    let name = format!("{}/mask", node.name);
    let c = &mut node.under(name);
    if shape == [batch] && !(batch == 1 && keys == 1) {
        let lengths = c.reshape(vec![batch, 1, 1, 1], mask)?;
        check_made(&[keys])?;
        let places = Array::new(vec![1, 1, 1, keys], (0..keys).map(|k| k as f32).collect())?;
        let places = c.add_numbered_constant(places);
        let seen = c.add_numbered(Arithmetic::Compare(Comparison::Less), &[places, lengths])?;
        return Ok((seen, Mask::Seen));
    }
    let whole = match *shape.as_slice() {
        [b, k] if b == batch && k == keys => vec![b, 1, 1, k],
        [b, q, k] if b == batch && q == queries && k == keys => vec![b, 1, q, k],
        ref other => {
            return Err(format!(
                "has a mask of the shape {other:?} for {batch} rows of {queries} queries and {keys} keys. Export the model \
                 without the optimiser of ONNX Runtime"
            )
            .into());
        }
    };
    let mask = c.reshape(whole, mask)?;
    if flag {
        return Ok((mask, Mask::Seen));
    }
    let zero = c.add_numbered_constant(Array::scalar(0.0));
    let seen = c.add_numbered(Arithmetic::Compare(Comparison::NotEqual), &[mask, zero])?;
    Ok((seen, Mask::Seen))
}

/// What is added to scores beside what a mask hides.
fn with_bias(
    node: &mut Node<'_>,
    bias: usize,
    mask: Option<(NodeId, Mask)>,
) -> Result<Option<(NodeId, Mask)>, Fault> {
    if !node.has(bias) {
        return Ok(mask);
    }
    let bias = node.tensor(bias)?;
    let Some((mask, _)) = mask else { return Ok(Some((bias, Mask::Added))) };
    let hidden = node.add_constant("hidden", Array::scalar(f32::NEG_INFINITY));
    Ok(Some((node.add_part("biased_mask", Arithmetic::Select, &[mask, bias, hidden])?, Mask::Added)))
}

/// What comes before keys and values, in front of them; how many there are, and both as results.
fn behind_past(
    node: &mut Node<'_>,
    at: [usize; 2],
    operands: [NodeId; 2],
) -> Result<(usize, [NodeId; 2]), Fault> {
    let mut before = 0;
    let mut whole = operands;
    for (part, past) in whole.iter_mut().zip(at) {
        if node.has(past) {
            let past = node.tensor(past)?;
            before = node.shape(past).get(2).copied().unwrap_or(0);
            if before > 0 {
                let name = format!("{}/present_{}", node.name, part.0);
                *part = node.under(name).add_numbered(Movement::Concat { axis: 2 }, &[past, *part])?;
            }
        }
    }
    Ok((before, whole))
}

/// One matrix makes queries, keys and values of the operand.
fn attention(node: &mut Node<'_>) -> Results {
    if node.has(4) || node.attr_flag("do_rotary", false)? {
        return Err("goes on from what it computed before, or turns its operands, which is not supported. Export the model \
                    without the optimiser of ONNX Runtime"
            .into());
    }
    let heads = count(node, "num_heads")?;
    let (x, weights) = (node.tensor(0)?, node.tensor(1)?);
    let name = format!("{}/projected", node.name);
    let mut all = compose::numpy_product(&mut node.under(name), x, weights)?;
    if node.has(2) {
        let bias = node.tensor(2)?;
        all = node.add_part("with_bias", Arithmetic::Add, &[all, bias])?;
    }
    let width = node.shape(all).last().copied().unwrap_or(0);
    let sizes = match node.attr_ints("qkv_hidden_sizes")? {
        Some(sizes) => {
            let sizes: Option<Vec<usize>> = sizes.iter().map(|&s| usize::try_from(s).ok()).collect();
            sizes
                .and_then(|s| <[usize; 3]>::try_from(s).ok())
                .ok_or_else(|| Node::wrong("qkv_hidden_sizes"))?
        }
        None => [width / 3; 3],
    };
    let [q, k, v] = parts(node, all, sizes)?;
    let causal = node.attr_flag("unidirectional", false)?;
    seen_by_heads(node, [q, k, v], heads, Masks { shown: 3, added: 5 }, causal)
}

/// Which operands hide places, and which are added to scores.
#[derive(Clone, Copy)]
struct Masks {
    shown: usize,
    added: usize,
}

/// `[batch, length, heads · size]` each.
fn seen_by_heads(
    node: &mut Node<'_>,
    operands: [NodeId; 3],
    heads: usize,
    masks: Masks,
    causal: bool,
) -> Results {
    let mut apart = operands;
    for (i, operand) in apart.iter_mut().enumerate() {
        let name = format!("{}/heads_{i}", node.name);
        if node.shape(*operand).len() == 3 {
            *operand = compose::heads(&mut node.under(name), *operand, heads)?;
        }
    }
    let [q, k, v] = apart;
    let &[batch, _, queries, size] = node.shape(q) else { return Err("has no queries".into()) };
    let scale = scale(node, size)?;
    let keys = node.shape(k).get(2).copied().unwrap_or(0);
    let mask =
        if node.has(masks.shown) { Some(shown(node, masks.shown, [batch, queries, keys])?) } else { None };
    let mask = with_bias(node, masks.added, mask)?;
    let causal = causal.then_some(keys.saturating_sub(queries));
    let scores = Scores { scale, mask, causal, cap: None };
    with_keys(node, [q, k, v], scores)
}

/// What attention gives, and the keys and values that it was computed of.
fn with_keys(node: &mut Node<'_>, [q, k, v]: [NodeId; 3], scores: Scores) -> Results {
    let mut results = node.composed(|c| {
        let y = compose::attention(c, [q, k, v], scores)?;
        compose::one_after_another(c, y)
    })?;
    results.extend([k, v].map(Value::Tensor));
    Ok(results)
}

fn of_heads(node: &mut Node<'_>) -> Results {
    if node.is_wanted(3) {
        return Err("gives its scores, which is not supported. End the model without them".into());
    }
    if !node.has(1) || !node.has(2) {
        return Err("has its queries, keys and values in one operand, which is not supported. Export the model without the \
                    optimiser of ONNX Runtime"
            .into());
    }
    let heads = count(node, "num_heads")?;
    let mut operands = [node.tensor(0)?, node.tensor(1)?, node.tensor(2)?];
    if node.has(3) {
        let bias = node.tensor(3)?;
        let widths = operands.map(|x| {
            let shape = node.shape(x);
            if shape.len() == 3 { shape[2] } else { shape.iter().skip(1).step_by(2).product() }
        });
        let biases = parts(node, bias, widths)?;
        for (i, (x, bias)) in operands.iter_mut().zip(biases).enumerate() {
            if node.shape(*x).len() != 3 {
                return Err("adds a bias to keys that came from elsewhere".into());
            }
            *x = node.add_part(&format!("biased_{i}"), Arithmetic::Add, &[*x, bias])?;
        }
    }
    let [q, mut k, mut v] = operands;
    for x in [&mut k, &mut v] {
        if node.shape(*x).len() == 3 {
            let name = format!("{}/heads_of_{}", node.name, x.0);
            *x = compose::heads(&mut node.under(name), *x, heads)?;
        }
    }
    let (_, [k, v]) = behind_past(node, [6, 7], [k, v])?;
    let causal = node.attr_flag("unidirectional", false)?;
    seen_by_heads(node, [q, k, v], heads, Masks { shown: 4, added: 5 }, causal)
}

/// A prompt: every place sees what is not behind it. How long the prompts of a batch are only says what is padding,
/// behind them, which they do not see.
fn of_groups(node: &mut Node<'_>) -> Results {
    for (past, what) in [(3, "keys"), (4, "values")] {
        if node.has(past) && node.shape_of(past)?.get(2).copied().unwrap_or(0) > 0 {
            return Err(format!(
                "has {what} of places before the prompt, whose number is an operand. Give it those of no places: \
                 [batch, heads, 0, size]"
            )
            .into());
        }
    }
    if node.has(11) || node.attr_flag("smooth_softmax", false)? {
        return Err("has a softmax with a place for nothing, for which there is no rule here".into());
    }
    let (heads, kept) = (count(node, "num_heads")?, count(node, "kv_num_heads")?);
    let x = node.tensor(0)?;
    let operands = if node.has(1) {
        [x, node.tensor(1)?, node.tensor(2)?]
    } else {
        let width = node.shape(x).last().copied().unwrap_or(0);
        let size = width / (heads + 2 * kept).max(1);
        parts(node, x, [heads * size, kept * size, kept * size])?
    };
    let mut apart = operands;
    for (i, (x, heads)) in apart.iter_mut().zip([heads, kept, kept]).enumerate() {
        let name = format!("{}/heads_{i}", node.name);
        *x = compose::heads(&mut node.under(name), *x, heads)?;
    }
    let [mut q, mut k, v] = apart;
    let &[_, _, length, size] = node.shape(q) else { return Err("has no queries".into()) };
    if node.attr_flag("do_rotary", false)? {
        let places = if node.has(9) { Some(9) } else { None };
        let turning =
            Turning { tables: [7, 8], places, side_by_side: node.attr_flag("rotary_interleaved", false)? };
        q = turned_by(node, q, turning)?;
        k = turned_by(node, k, turning)?;
    }
    let mask = with_bias(node, 10, None)?;
    let window = usize::try_from(node.attr_int("local_window_size", -1)?).ok();
    let mask = match (mask, window) {
        (mask, None) => mask,
        (None, Some(window)) => {
            // So many places, with the query's own.
            check_made(&[length, length])?;
            let far = |i: usize| {
                if i / length >= i % length + window.min(length) { f32::NEG_INFINITY } else { 0.0 }
            };
            let far = Array::new(vec![length, length], (0..length * length).map(far).collect())?;
            Some((node.add_constant("window", far), Mask::Added))
        }
        (Some(_), Some(_)) => return Err("has a window, and numbers that are added to scores".into()),
    };
    let cap = node.attr_float("softcap", 0.0)?;
    let scores = Scores { scale: scale(node, size)?, mask, causal: Some(0), cap: (cap > 0.0).then_some(cap) };
    with_keys(node, [q, k, v], scores)
}

fn rotary(node: &mut Node<'_>) -> Results {
    if node.attr_flag("is_packed_batching", false)? || node.attr_float("scale", 1.0)? != 1.0 {
        return Err("has rows of different lengths, or a scale, for which there is no rule here".into());
    }
    let x = node.tensor(0)?;
    let apart = node.shape(x).len() == 4;
    let side_by_side = node.attr_flag("interleaved", false)?;
    let name = format!("{}/heads", node.name);
    let own = if apart {
        x
    } else {
        let width = node.shape(x).last().copied().unwrap_or(0);
        let heads = match count(node, "num_heads")? {
            0 => width / (2 * node.shape_of(2)?.last().copied().unwrap_or(0)).max(1),
            heads => heads,
        };
        compose::heads(&mut node.under(name), x, heads)?
    };
    let y = turned_by(node, own, Turning { tables: [2, 3], places: Some(1), side_by_side })?;
    node.composed(|c| if apart { Ok(y) } else { compose::one_after_another(c, y) })
}
