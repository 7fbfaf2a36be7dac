//! Elements at known places, and sums along an axis.

use cryptflow_ring::Movement;

use super::{Fault, Node, Results, Row, Value, row};
use crate::compose::{self, Weights};
use crate::docs as doc;
use crate::value::Ints;
use cryptflow_graph::{Arithmetic, Array, Function};

pub(super) const TABLE: &[Row] = &[
    row("GatherV2", gather, doc::MOVEMENT.note("the indices are public; not with `batch_dims`")),
    row("Gather", gather, doc::MOVEMENT.note("the indices are public")),
    row("OneHot", one_hot, doc::KNOWN.note("of known indices")),
    row("Cumsum", cumsum, doc::LINEAR.note(doc::notes::TRIANGLE)),
    row("LRN", lrn, doc::POWER.note("of a sum of squares of neighbours, and a product; channels last")),
];

/// Entries of an axis, by indices that are known. Indices that depend on an input would be shown by
/// what they pick.
fn gather(node: &mut Node<'_>) -> Results {
    let value = node.operand(0)?.clone();
    let indices = match node.operand(1)? {
        Value::Int(indices) => indices.clone(),
        _ => {
            return Err("picks entries by indices that depend on an input, as embeddings do. Look them up before the \
                        input: cut the graph behind it with --input NAME=SHAPE"
                .into());
        }
    };
    let from = node.shape_of_value(&value)?;
    let axis = if node.operands.len() > 2 { node.int(2)? } else { 0 };
    let axis = crate::value::axis(axis, from.len())?;
    if node.attr_int("batch_dims", 0)? != 0 {
        return Err("picks other entries for each part of the batch. Flatten the batch into the axis, with \
             indices to match"
            .into());
    }
    let length = from[axis];
    let pick = |&i: &i64| usize::try_from(i).ok().filter(|&i| i < length);
    let places = indices.data.iter().map(pick).collect::<Option<Vec<_>>>();
    let places = places.ok_or_else(|| format!("picks entries {:?} of {length}", indices.data))?;
    let mut shape = from[..axis].to_vec();
    shape.extend(&indices.shape);
    shape.extend(&from[axis + 1..]);
    let movement = Movement::Gather { axis, indices: places };
    if indices.shape.len() == 1 {
        return node.moved(&value, [movement]);
    }
    node.moved(&value, [movement, Movement::Reshape { shape }])
}

/// Of known integers.
fn one_hot(node: &mut Node<'_>) -> Results {
    let indices = node.ints(0)?.clone();
    let depth =
        usize::try_from(node.int(1)?).map_err(|_| Fault::Unsupported("has a negative depth".into()))?;
    let rank = indices.shape.len() + 1;
    let axis = match node.attr_int("axis", -1)? {
        -1 => rank - 1,
        axis => crate::value::axis(axis, rank)?,
    };
    let mut shape = indices.shape.clone();
    shape.insert(axis, depth);
    let total = crate::value::fits(&shape)?;
    let inner: usize = shape[axis + 1..].iter().product();
    let hot = |at: usize| {
        let (outer, class, rest) =
            (at / (inner * depth).max(1), at / inner.max(1) % depth.max(1), at % inner.max(1));
        indices.data.get(outer * inner + rest).is_some_and(|&i| i == class as i64)
    };
    if let (Value::Int(on), Value::Int(off)) = (node.operand(2)?, node.operand(3)?) {
        let (on, off) = (on.data.first().copied().unwrap_or(1), off.data.first().copied().unwrap_or(0));
        let data = (0..total).map(|i| if hot(i) { on } else { off }).collect();
        return Ok(vec![Value::Int(Ints { shape, data })]);
    }
    let number = |node: &mut Node<'_>, i: usize| -> Result<f32, Fault> {
        let id = node.tensor(i)?;
        node.constant_of(id)
            .and_then(|c| c.data.first().copied())
            .ok_or_else(|| "has values that depend on an input. Choose between them with SelectV2".into())
    };
    let (on, off) = (number(node, 2)?, number(node, 3)?);
    let data = (0..total).map(|i| if hot(i) { on } else { off }).collect();
    let array = Array::new(shape, data)?;
    Ok(vec![Value::Tensor(node.add_known(array))])
}

/// Sums of all elements up to each, as a product with a triangle of ones.
fn cumsum(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let axis = crate::value::axis(node.int(1)?, node.shape(x).len())?;
    let (exclusive, reverse) = (node.attr_bool("exclusive", false)?, node.attr_bool("reverse", false)?);
    let n = node.shape(x)[axis];
    crate::value::fits(&[n, n])?;
    let mut weights = Weights::new(n, n);
    for to in 0..n {
        for from in 0..n {
            let counts = if reverse { from >= to } else { from <= to };
            if counts && !(exclusive && from == to) {
                weights.add(from, to, 1.0);
            }
        }
    }
    node.composed(|c| compose::along(c, x, axis, weights))
}

/// Each channel by a power of the sum of squares of its neighbours.
fn lrn(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let radius =
        usize::try_from(node.attr_int("depth_radius", 5)?).map_err(|_| Node::wrong("depth_radius"))?;
    let (bias, alpha, beta) =
        (node.attr_float("bias", 1.0)?, node.attr_float("alpha", 1.0)?, node.attr_float("beta", 0.5)?);
    let rank = node.shape(x).len();
    let Some(&channels) = node.shape(x).last() else { return Err("normalises a scalar".into()) };
    crate::value::fits(&[channels, channels])?;
    let mut weights = Weights::new(channels, channels);
    for to in 0..channels {
        for from in to.saturating_sub(radius)..=to.saturating_add(radius).min(channels - 1) {
            weights.add(from, to, alpha);
        }
    }
    node.composed(|c| {
        let squares = c.add_numbered(Arithmetic::Mul, &[x, x])?;
        let sums = compose::along(c, squares, rank - 1, weights)?;
        let bias = c.add_numbered_constant(Array::scalar(bias));
        let sums = c.add_numbered(Arithmetic::Add, &[sums, bias])?;
        let factor = c.add_numbered(Function::power(-beta), &[sums])?;
        c.add_numbered(Arithmetic::Mul, &[x, factor])
    })
}
