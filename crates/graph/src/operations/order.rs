//! Places along an axis: what is largest there (arg-max and top-k), and ids as rows with a one at their place.

use super::transposed::{BeforeTranspose, reduced};
use super::{OpError, operands};
use crate::graph::Array;
use crate::range::Range;
use crate::ranges::Operands;

/// What is largest along an axis, or a place along one.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Index of the largest element along an axis, the lowest one of several. The result holds
    /// integers.
    ArgMax {
        /// The axis, which disappears.
        axis: usize,
    },
    /// The `k` largest or smallest elements along an axis, sorted, the lowest index first of
    /// several equal ones; or where they are, as integers. The client computes it from an opened
    /// output.
    TopK {
        /// The axis, which becomes `k` long.
        axis: usize,
        /// How many.
        k: usize,
        /// The largest, not the smallest.
        largest: bool,
        /// Where they are, not what they are.
        indices: bool,
    },
    /// Ids, the operand's integers, as rows along a new last axis: one at the place that the id says,
    /// zero elsewhere. What is no place on the axis is zero everywhere. A client gives an input in this
    /// form, so its ids stay secret.
    OneHot {
        /// How long the new axis is.
        classes: usize,
    },
}

impl Order {
    /// The operation's name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Order::ArgMax { .. } => "arg max",
            Order::TopK { .. } => "top k",
            Order::OneHot { .. } => "one-hot",
        }
    }

    pub(super) fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
        let [x] = operands(self.name(), "one", inputs)?;
        let mut shape = x.to_vec();
        let axis = match *self {
            Order::ArgMax { axis } | Order::TopK { axis, .. } => axis,
            Order::OneHot { classes } => {
                shape.push(classes);
                return Ok(shape);
            }
        };
        let Some(length) = shape.get_mut(axis) else {
            return Err(OpError::shape(self.name(), format!("the operand {x:?} has no axis {axis}")));
        };
        match *self {
            Order::TopK { k, .. } if k > *length => {
                let reason = format!("the {k} largest of {length} elements do not exist");
                return Err(OpError::shape(self.name(), reason));
            }
            Order::TopK { k, .. } => *length = k,
            Order::ArgMax { .. } if *length == 0 => {
                let reason = format!("the operand {x:?} is empty along the axis");
                return Err(OpError::shape(self.name(), reason));
            }
            Order::ArgMax { .. } => {
                shape.remove(axis);
            }
            Order::OneHot { .. } => {}
        }
        Ok(shape)
    }

    pub(super) fn evaluate(&self, inputs: &[&Array], result: Vec<usize>) -> Result<Array, OpError> {
        let [x] = operands(self.name(), "one", inputs)?;
        let (axis, k, largest, indices) = match *self {
            Order::ArgMax { axis } => (axis, 1, true, true),
            Order::TopK { axis, k, largest, indices } => (axis, k, largest, indices),
            Order::OneHot { classes } => return Array::new(result, one_hot(&x.data, classes)),
        };
        let mut out = vec![0.0; result.iter().product()];
        for_each_best(x, axis, k, largest, |at, from, to| {
            out[to] = if indices { at as f32 } else { x.data[from] };
        });
        Array::new(result, out)
    }

    pub(super) fn image(&self, x: Range) -> Range {
        match self {
            Order::ArgMax { .. } | Order::TopK { indices: true, .. } => {
                Range { low: 0.0, high: f64::INFINITY }
            }
            Order::TopK { indices: false, .. } => x,
            Order::OneHot { .. } => Range { low: 0.0, high: 1.0 },
        }
    }

    pub(super) fn interval(&self, given: &Operands<'_>) -> Vec<Range> {
        let length = |axis: usize| given.shape(0).get(axis).copied().unwrap_or(1);
        let up_to = |high: usize| given.filled(Range { low: 0.0, high: high as f64 });
        match self {
            Order::ArgMax { axis } => up_to(length(*axis).saturating_sub(1)),
            Order::TopK { indices: true, axis, .. } => up_to(length(*axis)),
            Order::TopK { indices: false, .. } => given.filled(given.whole(0)),
            Order::OneHot { .. } => up_to(1),
        }
    }

    pub(super) fn before_transpose(&self, permutation: &[usize]) -> Option<BeforeTranspose> {
        match self {
            Order::ArgMax { axis } => {
                let (_, left) = reduced(&[*axis], false, permutation)?;
                Some(BeforeTranspose::of_first(Order::ArgMax { axis: *permutation.get(*axis)? }, &left))
            }
            // The client sorts along the axis that it is told, and makes rows of ids as it is given them.
            Order::TopK { .. } | Order::OneHot { .. } => None,
        }
    }
}

/// Rows of so many numbers, one for each id.
fn one_hot(ids: &[f32], classes: usize) -> Vec<f32> {
    let mut rows = vec![0.0; ids.len() * classes];
    for (id, row) in ids.iter().zip(rows.chunks_mut(classes.max(1))) {
        let id = id.round();
        if let Some(one) = (id >= 0.0).then(|| row.get_mut(id as usize)).flatten() {
            *one = 1.0;
        }
    }
    rows
}

/// Shows each of the `k` best elements along an axis: its index along the axis, where it is, and
/// where it is in a result whose axis is `k` long.
pub(crate) fn for_each_best(
    x: &Array,
    axis: usize,
    k: usize,
    largest: bool,
    mut show: impl FnMut(usize, usize, usize),
) {
    let n = x.shape[axis];
    let inner: usize = x.shape[axis + 1..].iter().product();
    let outer: usize = x.shape[..axis].iter().product();
    for o in 0..outer {
        for i in 0..inner {
            let place = |at: usize| (o * n + at) * inner + i;
            for (rank, at) in best(n, k, largest, &|at| x.data[place(at)]).into_iter().enumerate() {
                show(at, place(at), (o * k + rank) * inner + i);
            }
        }
    }
}

/// The indices of the `k` best of `n` values, the best first, the lower index first where two are
/// equal.
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
