//! Reductions over axes: mean, sum, arg-max.

use super::{OpError, operands};
use crate::graph::{Array, Op};

pub(super) fn shape(op: &Op, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
    let [x] = operands(op, "one", inputs)?;
    let (axes, keep) = axes(op);
    if let Some(axis) = axes.iter().find(|&&a| a >= x.len()) {
        return Err(OpError::shape(op.name(), format!("the operand {x:?} has no axis {axis}")));
    }
    if !axes.is_sorted_by(|a, b| a < b) {
        return Err(OpError::shape(op.name(), format!("the axes {axes:?} must ascend")));
    }
    if matches!(op, Op::ArgMax { .. }) && axes.iter().any(|&a| x[a] == 0) {
        return Err(OpError::shape(op.name(), format!("the operand {x:?} is empty along the axis")));
    }
    let reduced = |i: &usize| axes.contains(i);
    Ok(x.iter()
        .enumerate()
        .filter(|(i, _)| keep || !reduced(i))
        .map(|(i, &n)| if reduced(&i) { 1 } else { n })
        .collect())
}

pub(super) fn evaluate(op: &Op, inputs: &[&Array], result: Vec<usize>) -> Result<Array, OpError> {
    let [x] = operands(op, "one", inputs)?;
    let data = match op {
        Op::ArgMax { axis } => arg_max(x, *axis),
        _ => {
            let (axes, _) = axes(op);
            let sums = sum(x, axes, result.iter().product());
            let count: usize = axes.iter().map(|&a| x.shape[a]).product();
            let divisor = if matches!(op, Op::Mean { .. }) { count as f64 } else { 1.0 };
            sums.into_iter().map(|s| (s / divisor) as f32).collect()
        }
    };
    Array::new(result, data)
}

fn axes(op: &Op) -> (&[usize], bool) {
    match op {
        Op::Mean { axes, keep_dims } | Op::Sum { axes, keep_dims } => (axes, *keep_dims),
        Op::ArgMax { axis } => (std::slice::from_ref(axis), false),
        _ => (&[], false),
    }
}

/// Sums in f64, so that long ones keep the precision that TensorFlow's pairwise sums have.
fn sum(x: &Array, axes: &[usize], results: usize) -> Vec<f64> {
    let mut step = vec![0; x.shape.len()];
    let mut next = 1;
    for (axis, &n) in x.shape.iter().enumerate().rev() {
        if !axes.contains(&axis) {
            step[axis] = next;
            next *= n;
        }
    }
    let mut sums = vec![0.0; results];
    let mut index = vec![0; x.shape.len()];
    for &v in x.data.iter() {
        let at: usize = index.iter().zip(&step).map(|(i, s)| i * s).sum();
        sums[at] += f64::from(v);
        for (i, &n) in index.iter_mut().zip(&x.shape).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    sums
}

fn arg_max(x: &Array, axis: usize) -> Vec<f32> {
    let n = x.shape[axis];
    let inner: usize = x.shape[axis + 1..].iter().product();
    let outer: usize = x.shape[..axis].iter().product();
    let mut out = Vec::with_capacity(outer * inner);
    for o in 0..outer {
        for i in 0..inner {
            let value = |k: usize| x.data[(o * n + k) * inner + i];
            let best = (1..n).fold(0, |best, k| if value(k) > value(best) { k } else { best });
            out.push(best as f32);
        }
    }
    out
}
