//! Convolutions along one, two or three spatial axes.

use cryptflow_ring::Window;

use super::Slide;
use crate::builder::Builder;
use crate::value::Fault;
use cryptflow_graph::{Arithmetic, Linear, NodeId};

/// A convolution of `[batch, spatial…, channels]` with a filter of
/// `[taps…, channels / groups, result's channels]`.
#[derive(Clone, Debug)]
pub(crate) struct Convolution<'a> {
    /// One to three of them.
    pub(crate) slides: &'a [Slide],
    /// Groups of channels.
    pub(crate) groups: usize,
}

/// Adds a convolution.
///
/// Along three axes it is a sum over the filter's layers: each is a two-dimensional convolution of
/// those layers of x that it meets, laid side by side in the batch. The sum is one linear map for a
/// protocol: it is truncated once.
pub(crate) fn convolution(
    to: &mut Builder<'_>,
    x: NodeId,
    filter: NodeId,
    convolution: &Convolution<'_>,
) -> Result<NodeId, Fault> {
    let slides = convolution.slides;
    let (image, taps) = (to.shape(x).to_vec(), to.shape(filter).to_vec());
    if image.len() != slides.len() + 2 || taps.len() != image.len() {
        return Err(format!(
            "convolves {image:?} with {taps:?} along {} axes: the ranks do not agree",
            slides.len()
        )
        .into());
    }
    let groups = convolution.groups;
    let result = match *slides {
        [width] => {
            let x = to.reshape(vec![image[0], 1, image[1], image[2]], x)?;
            let filter = to.reshape(vec![1, taps[0], taps[1], taps[2]], filter)?;
            let y = plane(to, x, filter, [Slide::NONE, width], groups)?;
            let &[batch, _, width, channels] = to.shape(y) else { return Err("is no image".into()) };
            to.reshape(vec![batch, width, channels], y)?
        }
        [height, width] => plane(to, x, filter, [height, width], groups)?,
        [depth, height, width] => {
            let places = depth.places(image[1])?;
            let padded = to.pad(1, depth.padding, x)?;
            let mut sum = None;
            for tap in 0..depth.kernel {
                let layers = to.cut(1, tap * depth.dilation, places, depth.stride as isize, padded)?;
                let layers = to.reshape(vec![image[0] * places, image[2], image[3], image[4]], layers)?;
                let layer = to.cut(0, tap, 1, 1, filter)?;
                let layer = to.reshape(taps[1..].to_vec(), layer)?;
                let term = plane(to, layers, layer, [height, width], groups)?;
                sum = Some(match sum {
                    None => term,
                    Some(sum) => to.add_numbered(Arithmetic::Add, &[sum, term])?,
                });
            }
            let sum = sum.ok_or("has a filter without taps")?;
            let &[_, height, width, channels] = to.shape(sum) else { return Err("is no image".into()) };
            to.reshape(vec![image[0], places, height, width, channels], sum)?
        }
        _ => return Err(format!("convolves along {} axes; one to three are supported", slides.len()).into()),
    };
    Ok(to.finish(result))
}

fn plane(
    to: &mut Builder<'_>,
    x: NodeId,
    filter: NodeId,
    slides: [Slide; 2],
    groups: usize,
) -> Result<NodeId, Fault> {
    to.add_numbered(Linear::Conv2d { window: window(slides), groups }, &[x, filter])
}

/// The window of two slides.
pub(crate) fn window(slides: [Slide; 2]) -> Window {
    Window {
        kernel: slides.map(|s| s.kernel),
        stride: slides.map(|s| s.stride),
        dilation: slides.map(|s| s.dilation),
        padding: slides.map(|s| s.padding),
    }
}
