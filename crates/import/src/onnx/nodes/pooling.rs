//! Pooling.

use cryptflow_ring::Movement;

use super::{Node, Results, Row, Value, row};
use crate::compose::{self, Slide, kept};
use crate::docs as doc;
use crate::picture::Format;
use crate::value::Fault;
use cryptflow_graph::{Arithmetic, Function, NodeId, Op, Pool, Pooling, Reduction};

pub(super) const TABLE: &[Row] = &[
    row("MaxPool", max, doc::MAX_POOL.note("along one, two or three axes; without the places of the maxima")),
    row("AveragePool", average, doc::AVERAGE.note("along one, two or three axes")),
    row("LpPool", in_norm, doc::SQRT.note(doc::notes::POWERS)),
    row("GlobalAveragePool", global_average, doc::AVERAGE),
    row("GlobalMaxPool", global_max, doc::MAX_POOL.note("along one, two or three axes")),
    row("GlobalLpPool", global_in_norm, doc::SQRT.note(doc::notes::POWERS)),
];

/// A picture with channels last, and how the window slides over it, with the padding that rounding
/// up needs.
struct Windows {
    x: NodeId,
    slides: Vec<Slide>,
    /// The padding that the node states; the windows may have more behind.
    stated: Vec<[usize; 2]>,
}

fn windows(node: &mut Node<'_>) -> Result<Windows, Fault> {
    let (x, picture) = node.picture(0)?;
    let mut slides = node.slides(&node.kernel(picture.len())?, &picture)?;
    let stated = slides.iter().map(|s| s.padding).collect();
    if node.attr_flag("ceil_mode", false)? {
        for (slide, &n) in slides.iter_mut().zip(&picture) {
            round_up(slide, n);
        }
    }
    Ok(Windows { x, slides, stated })
}

/// Widens the padding behind so that the last window, which sees only a part, counts; one that
/// would begin behind the picture does not.
fn round_up(slide: &mut Slide, n: usize) {
    let [before, after] = slide.padding;
    let (stride, extent) = (slide.stride, slide.extent());
    let padded = before + n + after;
    let Some(rest) = padded.checked_sub(extent) else { return };
    let mut outputs = rest.div_ceil(stride) + 1;
    if (outputs - 1) * stride >= n + before {
        outputs -= 1;
    }
    let reach = outputs.saturating_sub(1) * stride + extent;
    slide.padding[1] += reach.saturating_sub(padded);
}

fn max(node: &mut Node<'_>) -> Results {
    if node.is_wanted(1) {
        return Err(
            "gives the places of its maxima, which would show secrets. Export the model without them".into(),
        );
    }
    let Windows { x, slides, .. } = windows(node)?;
    let y = compose::pool(&mut node.before_result(Format::ChannelsFirst), x, &slides, Pooling::Max)?;
    node.in_format(y, Format::ChannelsFirst)
}

pub(super) fn average(node: &mut Node<'_>) -> Results {
    let Windows { mut x, mut slides, stated } = windows(node)?;
    let mut count_padding = node.attr_flag("count_include_pad", false)?;
    if count_padding && slides.iter().zip(&stated).any(|(s, stated)| s.padding != *stated) {
        // The stated padding counts, and what rounding up adds does not: the former becomes zeros
        // of the picture.
        let side = |i: usize| {
            let inner = stated.iter().map(|p| p[i]);
            std::iter::once(0).chain(inner).chain([0]).collect()
        };
        x = node.move_part("padded", Movement::Pad { before: side(0), after: side(1) }, x)?;
        for (slide, stated) in slides.iter_mut().zip(&stated) {
            slide.padding = [slide.padding[0] - stated[0], slide.padding[1] - stated[1]];
        }
        count_padding = false;
    }
    let y = compose::pool(
        &mut node.before_result(Format::ChannelsFirst),
        x,
        &slides,
        Pooling::Average { count_padding },
    )?;
    node.in_format(y, Format::ChannelsFirst)
}

/// `(Σ |x|^p)^(1/p)`.
fn in_norm(node: &mut Node<'_>) -> Results {
    let Windows { x, slides, .. } = windows(node)?;
    let p = node.attr_int("p", 2)?;
    let powers = powers(node, x, p)?;
    let sums = match *slides.as_slice() {
        [height, width] => {
            let window = compose::window([height, width]);
            node.add_part("sums", Pool { kind: Pooling::Sum, window }, &[powers])?
        }
        _ => {
            let count: usize = slides.iter().map(|s| s.kernel).product();
            let pool = Pooling::Average { count_padding: true };
            let means = compose::pool(&mut node.before_result(Format::ChannelsFirst), powers, &slides, pool)?;
            let count = node.add_number("count", count as f32);
            node.add_part("sums", Arithmetic::Mul, &[means, count])?
        }
    };
    let y = root(node, Some("root"), sums, p)?;
    node.in_format(y, Format::ChannelsFirst)
}

fn powers(node: &mut Node<'_>, x: NodeId, p: i64) -> Result<NodeId, Fault> {
    match p {
        1 => node.add_part("sizes", Function::ABS, &[x]),
        2 => node.add_part("squares", Arithmetic::Mul, &[x, x]),
        3..=16 => {
            let sizes = node.add_part("sizes", Function::ABS, &[x])?;
            node.add_part("powers", Function::power(p as f32), &[sizes])
        }
        _ => Err(format!(
            "pools in the norm {p}; 1 to 16 are supported. As a limit, MaxPool of Abs stands for large ones"
        )
        .into()),
    }
}

fn root(node: &mut Node<'_>, part: Option<&str>, x: NodeId, p: i64) -> Result<NodeId, Fault> {
    let op = match p {
        1 => Op::Identity,
        2 => Op::Function(Function::SQRT),
        _ => Op::Function(Function::power(1.0 / p as f32)),
    };
    node.add_part_or_result(part, op, &[x])
}

/// The axes of the whole picture.
pub(super) fn whole(node: &mut Node<'_>) -> Result<(NodeId, Vec<usize>), Fault> {
    let x = node.tensor(0)?;
    let rank = node.shape(x).len();
    if rank < 3 {
        return Err(format!("pools a picture of the shape {:?}", node.shape(x)).into());
    }
    Ok((x, (2..rank).collect()))
}

pub(super) fn global_average(node: &mut Node<'_>) -> Results {
    let (x, axes) = whole(node)?;
    node.result(kept(Reduction::Mean, axes), &[x])
}

fn global_in_norm(node: &mut Node<'_>) -> Results {
    let (x, axes) = whole(node)?;
    let p = node.attr_int("p", 2)?;
    let powers = powers(node, x, p)?;
    let sum = node.add_part("sum", kept(Reduction::Sum, axes), &[powers])?;
    Ok(vec![Value::Tensor(root(node, None, sum, p)?)])
}

/// The maximum over a whole picture is a pooling with one window.
fn global_max(node: &mut Node<'_>) -> Results {
    let (x, picture) = node.picture(0)?;
    let slide = |&n: &usize| Slide { kernel: n, ..Slide::NONE };
    let slides: Vec<Slide> = picture.iter().map(slide).collect();
    let y = compose::pool(&mut node.before_result(Format::ChannelsFirst), x, &slides, Pooling::Max)?;
    node.in_format(y, Format::ChannelsFirst)
}
