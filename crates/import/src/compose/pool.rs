//! Pools along three axes, one plane after another: maxima and means of boxes are those of planes, and then of columns.

use super::convolution::window;
use super::{Composer, Slide};
use crate::value::Fault;
use cryptflow_graph::{NodeId, Op};

/// What a pool takes of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    /// The largest element; padding never wins.
    Max,
    /// The mean.
    Average {
        /// Whether padding counts as elements.
        count_padding: bool,
    },
}

impl Pool {
    fn over(self, slides: [Slide; 2]) -> Op {
        let window = window(slides);
        match self {
            Pool::Max => Op::MaxPool { window },
            Pool::Average { count_padding } => Op::AvgPool { window, count_padding },
        }
    }
}

/// Adds a pool over `[batch, spatial…, channels]` along one to three axes.
pub(crate) fn pool(to: &mut Composer<'_>, x: NodeId, slides: &[Slide], what: Pool) -> Result<NodeId, Fault> {
    let shape = to.shape(x).to_vec();
    let y = match (slides, shape.as_slice()) {
        (&[width], &[b, w, c]) => {
            let x = to.reshaped(vec![b, 1, w, c], x)?;
            let y = to.part(what.over([Slide::NONE, width]), &[x])?;
            let w = to.shape(y)[2];
            to.reshaped(vec![b, w, c], y)?
        }
        (&[height, width], &[_, _, _, _]) => to.part(what.over([height, width]), &[x])?,
        (&[depth, height, width], &[b, d, h, w, c]) => {
            let planes = to.reshaped(vec![b * d, h, w, c], x)?;
            let planes = to.part(what.over([height, width]), &[planes])?;
            let (h, w) = (to.shape(planes)[1], to.shape(planes)[2]);
            let columns = to.reshaped(vec![b, d, h * w, c], planes)?;
            let y = to.part(what.over([depth, Slide::NONE]), &[columns])?;
            let d = to.shape(y)[1];
            to.reshaped(vec![b, d, h, w, c], y)?
        }
        _ => {
            return Err(format!("pools {shape:?} along {} axes: the ranks do not agree", slides.len()).into());
        }
    };
    Ok(to.done(y))
}
