//! Gradients of reductions.

use cryptflow_ring::Movement;

use super::Step;
use super::places::origins;
use crate::graph::Array;
use crate::operations::{OpError, Reduce, Reduction};

pub(super) fn towards(reduce: &Reduce, step: &Step<'_>) -> Result<Array, OpError> {
    let x = step.only(reduce.name())?;
    // The result has the same elements whether or not it keeps the axes.
    let mut kept = x.shape.clone();
    reduce.axes.iter().for_each(|&axis| kept[axis] = 1);
    let results = origins(&Movement::Broadcast { shape: x.shape.clone() }, &kept)?;
    let at = |origin: usize| step.gradient.data[origin - 1];
    let data = match reduce.kind {
        Reduction::Sum => results.iter().map(|&r| at(r)).collect(),
        Reduction::Mean => {
            let count: usize = reduce.axes.iter().map(|&axis| x.shape[axis]).product();
            results.iter().map(|&r| at(r) / count as f32).collect()
        }
        // The first of equal ones has all of it.
        Reduction::Max | Reduction::Min => {
            let mut found = vec![false; step.result.data.len() + 1];
            let one = |(&r, &v): (&usize, &f32)| {
                let first = v == step.result.data[r - 1] && !std::mem::replace(&mut found[r], true);
                if first { at(r) } else { 0.0 }
            };
            results.iter().zip(x.data.iter()).map(one).collect()
        }
    };
    Array::new(x.shape.clone(), data)
}
