//! Gradients of arg-max, top-k and one-hot rows: places do not change with values, and chosen elements go back.

use super::Step;
use crate::graph::Array;
use crate::operations::order::for_each_best;
use crate::operations::{OpError, Order};

pub(super) fn towards(order: &Order, step: &Step<'_>) -> Result<Option<Array>, OpError> {
    match *order {
        Order::ArgMax { .. } | Order::TopK { indices: true, .. } | Order::OneHot { .. } => Ok(None),
        Order::TopK { axis, k, largest, indices: false } => {
            let x = step.only(order.name())?;
            let mut back = vec![0.0; x.data.len()];
            for_each_best(x, axis, k, largest, |_, from, to| back[from] = step.gradient.data[to]);
            Array::new(x.shape.clone(), back).map(Some)
        }
    }
}
