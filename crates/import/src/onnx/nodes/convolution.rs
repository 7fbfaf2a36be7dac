//! Convolutions.

use cryptflow_ring::Movement;

use super::window::halves;
use super::{Node, Results, Row, row};
use crate::compose::{self, Convolution, Transposed};
use crate::docs as doc;
use crate::picture::Format;
use crate::value::Fault;
use cryptflow_graph::{Arithmetic, NodeId};

pub(super) const TABLE: &[Row] = &[
    row("Conv", conv, doc::LINEAR.note("along one, two or three axes; the filter is a constant")),
    row(
        "ConvTranspose",
        transposed,
        doc::LINEAR.note("along one, two or three axes; the filter is a constant"),
    ),
];

pub(super) fn conv(node: &mut Node<'_>) -> Results {
    let (x, picture) = node.picture(0)?;
    let filter = node.filter(1, picture.len())?;
    let of = node.shape(filter).to_vec();
    let slides = node.slides(&of[2..], &picture)?;
    let groups = groups(node)?;
    // Channels out, channels in, taps → taps, channels in, channels out.
    let mut permutation: Vec<usize> = (2..of.len()).collect();
    permutation.extend([1, 0]);
    let w = node.move_part("filter", Movement::Transpose { permutation }, filter)?;
    let y = compose::convolution(
        &mut node.before_result(Format::ChannelsFirst),
        x,
        w,
        &Convolution { slides: &slides, groups },
    )?;
    let y = biased(node, y, 2)?;
    node.in_format(y, Format::ChannelsFirst)
}

/// The padding is that of the convolution which it is the transpose of: cut from the whole result.
fn transposed(node: &mut Node<'_>) -> Results {
    let (x, picture) = node.picture(0)?;
    let n = picture.len();
    let filter = node.filter(1, n)?;
    let of = node.shape(filter).to_vec();
    let groups = groups(node)?;
    let channels = node.shape(x).last().copied().unwrap_or(0);
    if of[0] != channels || groups == 0 || !channels.is_multiple_of(groups) {
        return Err(
            format!("its filter {of:?} in {groups} groups does not go with {channels} channels").into()
        );
    }
    let mut slides = node.bare_slides(&of[2..])?;
    let more = node.per_axis("output_padding", n, 0)?.unwrap_or_else(|| vec![0; n]);
    let asked = node.per_axis("output_shape", n, 1)?;
    let auto = node.attr_text("auto_pad", "NOTSET")?.to_owned();
    let stated = node.stated_padding(n)?;
    let mut output = Vec::with_capacity(n);
    for (i, slide) in slides.iter_mut().enumerate() {
        let reach = picture[i].saturating_sub(1).saturating_mul(slide.stride);
        let whole = reach.saturating_add(slide.extent()).saturating_add(more[i]);
        let same = auto.starts_with("SAME").then(|| picture[i] * slide.stride);
        let length = asked.as_ref().map(|a| a[i]).or(same);
        slide.padding = match (length, &stated) {
            (Some(length), _) => halves(
                whole.saturating_sub(length),
                if auto == "SAME_UPPER" { "SAME_UPPER" } else { "SAME_LOWER" },
            ),
            (None, Some(padding)) => padding[i],
            (None, None) => [0; 2],
        };
        let cut = slide.padding[0] + slide.padding[1];
        let rest = length.or_else(|| whole.checked_sub(cut)).filter(|&r| r > 0);
        output.push(rest.ok_or_else(|| format!("cuts {cut} of {whole} elements of axis {i}"))?);
    }
    // Channels in, channels out of a group, taps → taps, channels in of a group, all channels out.
    let (inner, outer) = (channels / groups, of[1]);
    let mut split = vec![groups, inner, outer];
    split.extend(&of[2..]);
    let w = node.move_part("filter_groups", Movement::Reshape { shape: split }, filter)?;
    let mut permutation: Vec<usize> = (3..n + 3).collect();
    permutation.extend([1, 0, 2]);
    let w = node.move_part("filter_taps", Movement::Transpose { permutation }, w)?;
    let mut shape = of[2..].to_vec();
    shape.extend([inner, groups * outer]);
    let w = node.move_part("filter", Movement::Reshape { shape }, w)?;
    let what = Transposed { slides: &slides, output: &output, groups };
    let y = compose::transposed(&mut node.before_result(Format::ChannelsFirst), x, w, &what)?;
    let y = biased(node, y, 2)?;
    node.in_format(y, Format::ChannelsFirst)
}

fn groups(node: &Node<'_>) -> Result<usize, Fault> {
    usize::try_from(node.attr_int("group", 1)?).map_err(|_| Node::wrong("group"))
}

/// A result with channels last plus the bias in an operand, if there is one.
fn biased(node: &mut Node<'_>, y: NodeId, i: usize) -> Result<NodeId, Fault> {
    if !node.has(i) {
        return Ok(y);
    }
    let bias = node.tensor(i)?;
    let channels = node.shape(y).last().copied();
    if node.shape(bias) != channels.as_slice() {
        let reason = format!("its bias {:?} does not go with {channels:?} channels", node.shape(bias));
        return Err(reason.into());
    }
    node.add_part("biased", Arithmetic::Add, &[y, bias])
}
