//! What is largest along an axis: arg-max and top-k.

use super::{OpError, operands};
use crate::graph::{Array, Op};

pub(super) fn shape(op: &Op, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
    let [x] = operands(op, "one", inputs)?;
    let mut shape = x.to_vec();
    let (axis, k) = axis_and_count(op);
    let Some(length) = shape.get_mut(axis) else {
        return Err(OpError::shape(op.name(), format!("the operand {x:?} has no axis {axis}")));
    };
    match k {
        Some(k) if k > *length => {
            return Err(OpError::shape(
                op.name(),
                format!("the {k} largest of {length} elements do not exist"),
            ));
        }
        Some(k) => *length = k,
        None if *length == 0 => {
            return Err(OpError::shape(op.name(), format!("the operand {x:?} is empty along the axis")));
        }
        None => {
            shape.remove(axis);
        }
    }
    Ok(shape)
}

pub(super) fn evaluate(op: &Op, inputs: &[&Array], result: Vec<usize>) -> Result<Array, OpError> {
    let [x] = operands(op, "one", inputs)?;
    let (axis, k) = axis_and_count(op);
    let n = x.shape[axis];
    let inner: usize = x.shape[axis + 1..].iter().product();
    let outer: usize = x.shape[..axis].iter().product();
    let (largest, indices) = match op {
        Op::TopK { largest, indices, .. } => (*largest, *indices),
        _ => (true, true),
    };
    let k = k.unwrap_or(1);
    let mut out = vec![0.0; outer * k * inner];
    for o in 0..outer {
        for i in 0..inner {
            let value = |at: usize| x.data[(o * n + at) * inner + i];
            for (place, at) in best(n, k, largest, &value).into_iter().enumerate() {
                out[(o * k + place) * inner + i] = if indices { at as f32 } else { value(at) };
            }
        }
    }
    Array::new(result, out)
}

/// The indices of the `k` best of `n` values, the best first, the lower index first where two are equal.
fn best(n: usize, k: usize, largest: bool, value: &dyn Fn(usize) -> f32) -> Vec<usize> {
    if k == 1 {
        let better = |a: f32, b: f32| if largest { a > b } else { a < b };
        return vec![(1..n).fold(0, |best, at| if better(value(at), value(best)) { at } else { best })];
    }
    let mut order: Vec<usize> = (0..n).collect();
    // Stable: equal values stay in the order of their indices.
    order.sort_by(|&a, &b| {
        let order = value(a).total_cmp(&value(b));
        if value(a) == value(b) {
            std::cmp::Ordering::Equal
        } else if largest {
            order.reverse()
        } else {
            order
        }
    });
    order.truncate(k);
    order
}

fn axis_and_count(op: &Op) -> (usize, Option<usize>) {
    match op {
        Op::TopK { axis, k, .. } => (*axis, Some(*k)),
        Op::ArgMax { axis } => (*axis, None),
        _ => (usize::MAX, None),
    }
}
