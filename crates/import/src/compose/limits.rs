//! Numbers within limits.

use crate::builder::Builder;
use crate::value::Fault;
use cryptflow_graph::{Activation, Arithmetic, Array, NodeId};

/// The numbers between two limits, of which either may be missing, and the lower one is the smaller one. Between
/// both it is one step of a protocol: `low + min(max(x − low, 0), high − low)`.
pub(crate) fn within(
    c: &mut Builder<'_>,
    x: NodeId,
    low: Option<f32>,
    high: Option<f32>,
) -> Result<NodeId, Fault> {
    match (low, high) {
        (None, None) => Ok(x),
        (Some(0.0), None) => c.add_numbered(Activation::Relu, &[x]),
        (Some(0.0), Some(limit)) => c.add_numbered(Activation::ClippedRelu { limit }, &[x]),
        (Some(low), None) => {
            let low = c.add_numbered_constant(Array::scalar(low));
            c.add_numbered(Arithmetic::Maximum, &[x, low])
        }
        (None, Some(high)) => {
            let high = c.add_numbered_constant(Array::scalar(high));
            c.add_numbered(Arithmetic::Minimum, &[x, high])
        }
        (Some(low), Some(high)) => {
            let offset = c.add_numbered_constant(Array::scalar(low));
            let above = c.add_numbered(Arithmetic::Sub, &[x, offset])?;
            let cut = c.add_numbered(Activation::ClippedRelu { limit: high - low }, &[above])?;
            c.add_numbered(Arithmetic::Add, &[cut, offset])
        }
    }
}
