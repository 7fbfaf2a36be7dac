//! Reductions over axes: mean, sum, largest and smallest.

use super::transposed::{BeforeTranspose, reduced};
use super::{OpError, operands};
use crate::graph::Array;
use crate::range::Range;
use crate::ranges::Operands;

/// A reduction over axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// What is made of the elements along the axes.
    pub kind: Reduction,
    /// The axes, ascending.
    pub axes: Vec<usize>,
    /// Keep them as axes of length 1.
    pub keep_dims: bool,
}

/// What a reduction makes of the elements along its axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

impl Reduce {
    /// The operation's name in reports.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Reduction::Mean => "mean",
            Reduction::Sum => "sum",
            Reduction::Max => "max",
            Reduction::Min => "min",
        }
    }

    pub(super) fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
        let op = self.name();
        let [x] = operands(op, "one", inputs)?;
        let Reduce { kind, axes, keep_dims } = self;
        if let Some(axis) = axes.iter().find(|&&a| a >= x.len()) {
            return Err(OpError::shape(op, format!("the operand {x:?} has no axis {axis}")));
        }
        if !axes.is_sorted_by(|a, b| a < b) {
            return Err(OpError::shape(op, format!("the axes {axes:?} must ascend")));
        }
        let of_some = match kind {
            Reduction::Max | Reduction::Min => true,
            Reduction::Mean | Reduction::Sum => false,
        };
        if of_some && axes.iter().any(|&a| x[a] == 0) {
            return Err(OpError::shape(op, format!("the operand {x:?} is empty along the axes")));
        }
        let reduced = |i: &usize| axes.contains(i);
        Ok(x.iter()
            .enumerate()
            .filter(|(i, _)| *keep_dims || !reduced(i))
            .map(|(i, &n)| if reduced(&i) { 1 } else { n })
            .collect())
    }

    pub(super) fn evaluate(&self, inputs: &[&Array], result: Vec<usize>) -> Result<Array, OpError> {
        let [x] = operands(self.name(), "one", inputs)?;
        let axes = &self.axes;
        let results = result.iter().product();
        // A NaN wins, as in TensorFlow.
        let best = |start: f32, better: fn(f32, f32) -> bool| {
            fold(x, axes, vec![start; results], |a, v| {
                if better(v, *a) || v.is_nan() {
                    *a = v
                }
            })
        };
        // Sums in f64, so that long ones keep the precision that TensorFlow's pairwise sums have.
        let sums = |divisor: f64| {
            let sums = fold(x, axes, vec![0.0; results], |a: &mut f64, v| *a += f64::from(v));
            sums.into_iter().map(|s| (s / divisor) as f32).collect()
        };
        let data = match self.kind {
            Reduction::Max => best(f32::NEG_INFINITY, |v, a| v > a),
            Reduction::Min => best(f32::INFINITY, |v, a| v < a),
            Reduction::Sum => sums(1.0),
            Reduction::Mean => sums(axes.iter().map(|&a| x.shape[a]).product::<usize>() as f64),
        };
        Array::new(result, data)
    }

    pub(super) fn image(&self, x: Range) -> Range {
        match self.kind {
            Reduction::Mean | Reduction::Max | Reduction::Min => x,
            Reduction::Sum => x.any_sum(),
        }
    }

    pub(super) fn interval(&self, given: &Operands<'_>) -> Vec<Range> {
        let shape = given.shape(0);
        let keeps_last = !self.axes.contains(&shape.len().saturating_sub(1));
        let ranges = if keeps_last { given.first().to_vec() } else { given.filled(given.whole(0)) };
        match self.kind {
            Reduction::Mean => ranges.into_iter().map(|r| r.grown(2.0 * given.rounding.unit)).collect(),
            Reduction::Sum => {
                let count: usize = self.axes.iter().filter_map(|&a| shape.get(a)).product();
                ranges.into_iter().map(|r| r.sum_of(count, false)).collect()
            }
            Reduction::Max | Reduction::Min => ranges,
        }
    }

    pub(super) fn before_transpose(&self, permutation: &[usize]) -> Option<BeforeTranspose> {
        let Reduce { kind, axes, keep_dims } = self;
        let (axes, permutation) = reduced(axes, *keep_dims, permutation)?;
        Some(BeforeTranspose::of_first(Reduce { kind: *kind, axes, keep_dims: *keep_dims }, &permutation))
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
