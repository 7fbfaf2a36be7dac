//! Reductions over axes: mean, sum, largest and smallest.

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
    if matches!(op, Op::Max { .. } | Op::Min { .. }) && axes.iter().any(|&a| x[a] == 0) {
        return Err(OpError::shape(op.name(), format!("the operand {x:?} is empty along the axes")));
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
    let (axes, _) = axes(op);
    let results = result.iter().product();
    // A NaN wins, as in TensorFlow.
    let best = |start: f32, better: fn(f32, f32) -> bool| {
        fold(x, axes, vec![start; results], |a, v| {
            if better(v, *a) || v.is_nan() {
                *a = v
            }
        })
    };
    let data = match op {
        Op::Max { .. } => best(f32::NEG_INFINITY, |v, a| v > a),
        Op::Min { .. } => best(f32::INFINITY, |v, a| v < a),
        _ => {
            // Sums in f64, so that long ones keep the precision that TensorFlow's pairwise sums have.
            let sums = fold(x, axes, vec![0.0; results], |a: &mut f64, v| *a += f64::from(v));
            let count: usize = axes.iter().map(|&a| x.shape[a]).product();
            let divisor = if matches!(op, Op::Mean { .. }) { count as f64 } else { 1.0 };
            sums.into_iter().map(|s| (s / divisor) as f32).collect()
        }
    };
    Array::new(result, data)
}

fn axes(op: &Op) -> (&[usize], bool) {
    match op {
        Op::Mean { axes, keep_dims }
        | Op::Sum { axes, keep_dims }
        | Op::Max { axes, keep_dims }
        | Op::Min { axes, keep_dims } => (axes, *keep_dims),
        _ => (&[], false),
    }
}

/// Adds every element to the result that it belongs to.
fn fold<T>(x: &Array, axes: &[usize], mut results: Vec<T>, add: impl Fn(&mut T, f32)) -> Vec<T> {
    let mut step = vec![0; x.shape.len()];
    let mut next = 1;
    for (axis, &n) in x.shape.iter().enumerate().rev() {
        if !axes.contains(&axis) {
            step[axis] = next;
            next *= n;
        }
    }
    let mut index = vec![0; x.shape.len()];
    for &v in x.data.iter() {
        let at: usize = index.iter().zip(&step).map(|(i, s)| i * s).sum();
        add(&mut results[at], v);
        for (i, &n) in index.iter_mut().zip(&x.shape).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    results
}
