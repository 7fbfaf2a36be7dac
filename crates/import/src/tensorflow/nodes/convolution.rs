//! Convolutions: along two and three axes, depth-wise, transposed.

use cryptflow_ring::Movement;

use super::{Node, Results, Row, row};
use crate::compose::{self, Convolution, Transposed};
use crate::docs as doc;
use crate::picture::Format;
use cryptflow_graph::NodeId;

pub(super) const TABLE: &[Row] = &[
    row("Conv2D", |n| conv(n, 2), doc::LINEAR.note("the filter is a constant")),
    row(
        "Conv3D",
        |n| conv(n, 3),
        doc::LINEAR.note("the filter is a constant; composed of two-dimensional ones"),
    ),
    row("DepthwiseConv2dNative", depth_wise, doc::LINEAR.note("the filter is a constant")),
    row(
        "Conv2DBackpropInput",
        |n| transposed(n, 2),
        doc::LINEAR.note("a transposed convolution; the filter is a constant, the result's shape known"),
    ),
    row(
        "Conv3DBackpropInputV2",
        |n| transposed(n, 3),
        doc::LINEAR.note("a transposed convolution; the filter is a constant, the result's shape known"),
    ),
];

/// Along so many spatial axes.
fn conv(node: &mut Node<'_>, spatial: usize) -> Results {
    let format = node.format()?;
    let x = node.grid(0, spatial, format)?;
    let w = node.filter(1, spatial)?;
    let (channels, group_channels) = (node.shape(x)[spatial + 1], node.shape(w)[spatial]);
    if group_channels == 0 || !channels.is_multiple_of(group_channels) {
        return Err(format!(
            "its filter {:?} does not go with the {channels} channels of its operand",
            node.shape(w)
        )
        .into());
    }
    in_groups(node, x, w, channels / group_channels, format)
}

fn in_groups(node: &mut Node<'_>, x: NodeId, w: NodeId, groups: usize, format: Format) -> Results {
    let (image, of) = (node.shape(x).to_vec(), node.shape(w).to_vec());
    let slides = node.slides(&of[..of.len() - 2], &image, format)?;
    let what = Convolution { slides: &slides, groups };
    let y = compose::convolution(&mut node.before_result(format), x, w, &what)?;
    node.in_format(y, format)
}

fn depth_wise(node: &mut Node<'_>) -> Results {
    let format = node.format()?;
    let x = node.grid(0, 2, format)?;
    let w = node.filter(1, 2)?;
    let &[height, width, channels, multiplier] = node.shape(w) else { return Err("has no filter".into()) };
    let shape = vec![height, width, 1, channels.saturating_mul(multiplier)];
    let w = node.add_part("filter", Movement::Reshape { shape }, &[w])?;
    in_groups(node, x, w, channels, format)
}

/// What TensorFlow calls the gradient of a convolution: operands are the shape of the result, the
/// filter and x.
fn transposed(node: &mut Node<'_>, spatial: usize) -> Results {
    let format = node.format()?;
    let asked = node.lengths(0)?;
    let w = node.filter(1, spatial)?;
    let x = node.grid(2, spatial, format)?;
    let (image, of) = (node.shape(x).to_vec(), node.shape(w).to_vec());
    let output = format.spatial(&asked).to_vec();
    if output.len() != spatial || image[spatial + 1] != of[spatial + 1] {
        return Err(format!(
            "its filter {of:?}, its operand {image:?} and the result {asked:?} do not go together"
        )
        .into());
    }
    // The convolution that it is the transpose of goes from the result to x.
    let forward = [&[image[0]], output.as_slice(), &[of[spatial]]].concat();
    let slides = node.slides(&of[..spatial], &forward, format)?;
    let mut places = slides.iter().zip(&output).map(|(slide, &n)| slide.places(n).ok());
    if !places.by_ref().eq(image[1..=spatial].iter().map(|&n| Some(n))) {
        return Err(format!("no convolution of this kind leads from {asked:?} to {image:?}").into());
    }
    // [taps…, out, in] → [taps…, in, out]
    let mut permutation: Vec<usize> = (0..spatial + 2).collect();
    permutation.swap(spatial, spatial + 1);
    let w = node.add_part("filter", Movement::Transpose { permutation }, &[w])?;
    let what = Transposed { slides: &slides, output: &output, groups: 1 };
    let y = compose::transposed(&mut node.before_result(format), x, w, &what)?;
    node.in_format(y, format)
}
