//! Pools along three axes, one plane after another: maxima and means of boxes are those of planes,
//! and then of columns.

use super::Slide;
use super::window;
use crate::builder::Builder;
use crate::value::Fault;
use cryptflow_graph::{NodeId, Pool, Pooling};

/// Adds a pool over `[batch, spatial…, channels]` along one to three axes.
pub(crate) fn pool(
    to: &mut Builder<'_>,
    x: NodeId,
    slides: &[Slide],
    kind: Pooling,
) -> Result<NodeId, Fault> {
    let shape = to.shape(x).to_vec();
    let over = |slides| Pool { kind, window: window(slides) };
    let y = match (slides, shape.as_slice()) {
        (&[width], &[b, w, c]) => {
            let x = to.reshape(vec![b, 1, w, c], x)?;
            let y = to.add_numbered(over([Slide::NONE, width]), &[x])?;
            let w = to.shape(y)[2];
            to.reshape(vec![b, w, c], y)?
        }
        (&[height, width], &[_, _, _, _]) => to.add_numbered(over([height, width]), &[x])?,
        (&[depth, height, width], &[b, d, h, w, c]) => {
            let planes = to.reshape(vec![b * d, h, w, c], x)?;
            let planes = to.add_numbered(over([height, width]), &[planes])?;
            let (h, w) = (to.shape(planes)[1], to.shape(planes)[2]);
            let columns = to.reshape(vec![b, d, h * w, c], planes)?;
            let y = to.add_numbered(over([depth, Slide::NONE]), &[columns])?;
            let d = to.shape(y)[1];
            to.reshape(vec![b, d, h, w, c], y)?
        }
        _ => {
            return Err(format!("pools {shape:?} along {} axes: the ranks do not agree", slides.len()).into());
        }
    };
    Ok(to.finish(y))
}
