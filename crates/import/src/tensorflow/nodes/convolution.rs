//! Convolutions: along two and three axes, depth-wise, transposed.

use cryptflow_ring::Movement;

use super::window::Format;
use super::{Fault, Node, Results, Row, Value, row};
use crate::builder::Builder;
use crate::compose::{self, Convolution, Transposed};
use crate::docs as doc;
use cryptflow_graph::{Linear, NodeId, Op};

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
    let w = filter(node)?;
    let (kernel, group_channels, _) = taps(node.shape(w), spatial)?;
    let image = node.shape(x).to_vec();
    let channels = image.last().copied().unwrap_or(0);
    if group_channels == 0 || !channels.is_multiple_of(group_channels) {
        return Err(format!(
            "its filter {:?} does not go with the {channels} channels of its operand",
            node.shape(w)
        )
        .into());
    }
    let groups = channels / group_channels;
    if let [h, w_] = *kernel.as_slice() {
        let window = node.window([h, w_], &image, format)?;
        return Ok(vec![Value::Tensor(node.add_image(
            Linear::Conv2d { window, groups },
            &[x, w],
            format,
        )?)]);
    }
    let slides = node.slides(&kernel, &image, format)?;
    let mut to = before_result(node, format);
    let y = compose::convolution(&mut to, x, w, &Convolution { slides: &slides, groups })?;
    Ok(vec![Value::Tensor(node.in_format(y, format)?)])
}

fn depth_wise(node: &mut Node<'_>) -> Results {
    let format = node.format()?;
    let x = node.image(0, format)?;
    let w = filter(node)?;
    let &[kh, kw, channels, multiplier] = node.shape(w) else {
        return Err(format!("its filter must have four axes, but has the shape {:?}", node.shape(w)).into());
    };
    let shape = vec![kh, kw, 1, channels.saturating_mul(multiplier)];
    let w = node.add_part("filter", Movement::Reshape { shape }, &[w])?;
    let image = node.shape(x).to_vec();
    let window = node.window([kh, kw], &image, format)?;
    let op = Op::Linear(Linear::Conv2d { window, groups: channels });
    Ok(vec![Value::Tensor(node.add_image(op, &[x, w], format)?)])
}

/// What TensorFlow calls the gradient of a convolution: operands are the shape of the result, the
/// filter and x.
fn transposed(node: &mut Node<'_>, spatial: usize) -> Results {
    let format = node.format()?;
    let asked = node.lengths(0)?;
    let w = filter(node)?;
    let x = node.grid(2, spatial, format)?;
    let (kernel, outer, inner) = taps(node.shape(w), spatial)?;
    let (image, output) = (node.shape(x).to_vec(), format.spatial(&asked).to_vec());
    let channels = image.last().copied().unwrap_or(0);
    if output.len() != spatial || channels != inner {
        return Err(format!(
            "its filter {:?}, its operand {image:?} and the result {asked:?} do not go together",
            node.shape(w)
        )
        .into());
    }
    // The convolution that it is the transpose of goes from the result to x.
    let mut forward = vec![image[0]];
    forward.extend(&output);
    forward.push(outer);
    let slides = node.slides(&kernel, &forward, format)?;
    let fits = slides.iter().zip(&output).zip(&image[1..]).all(|((slide, &output), &input)| {
        let padded = output + slide.padding[0] + slide.padding[1];
        padded >= slide.extent() && (padded - slide.extent()) / slide.stride + 1 == input
    });
    if !fits {
        return Err(format!("no convolution of this kind leads from {asked:?} to {image:?}").into());
    }
    // [taps…, out, in] → [taps…, in, out]
    let mut permutation: Vec<usize> = (0..spatial + 2).collect();
    permutation.swap(spatial, spatial + 1);
    let w = node.add_part("filter", Movement::Transpose { permutation }, &[w])?;
    let mut to = before_result(node, format);
    let what = Transposed { slides: &slides, output: &output, groups: 1 };
    let y = compose::transposed(&mut to, x, w, &what)?;
    Ok(vec![Value::Tensor(node.in_format(y, format)?)])
}

/// Composes this node's result, with channels last.
pub(super) fn before_result<'a>(node: &'a mut Node<'_>, format: Format) -> Builder<'a> {
    let name = match format {
        Format::ChannelsLast => node.name.clone(),
        Format::ChannelsFirst => format!("{}/result", node.name),
    };
    node.under(name)
}

/// A filter's taps along so many axes, and its last two extents.
fn taps(shape: &[usize], spatial: usize) -> Result<(Vec<usize>, usize, usize), Fault> {
    match shape {
        [taps @ .., a, b] if taps.len() == spatial => Ok((taps.to_vec(), *a, *b)),
        _ => {
            let axes = if spatial == 2 { "four" } else { "five" };
            Err(format!("its filter must have {axes} axes, but has the shape {shape:?}").into())
        }
    }
}

fn filter(node: &Node<'_>) -> Result<NodeId, Fault> {
    let w = node.floats(1)?;
    match node.constant_of(w) {
        Some(_) => Ok(w),
        None => Err(
            "its filter is computed from an input. Only constant filters are supported: freeze the graph \
                     for inference, so that variables become constants"
                .into(),
        ),
    }
}
