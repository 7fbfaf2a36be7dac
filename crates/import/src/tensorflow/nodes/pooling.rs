//! Pooling, along two axes and three.

use super::convolution::before_result;
use super::{Node, Results, Row, Value, row};
use crate::compose;
use crate::docs as doc;
use cryptflow_graph::{Pool, Pooling};

pub(super) const TABLE: &[Row] = &[
    row("MaxPool", |n| pool(n, Pooling::Max), doc::MAX_POOL),
    row("AvgPool", |n| pool(n, AVERAGE), doc::AVERAGE.note("padding does not count")),
    row("MaxPool3D", |n| volume(n, Pooling::Max), doc::MAX_POOL.note("over planes, and then over columns")),
    row(
        "AvgPool3D",
        |n| volume(n, AVERAGE),
        doc::AVERAGE.note("over planes, and then over columns; padding does not count"),
    ),
];

// TensorFlow divides by the number of elements that a window really sees.
const AVERAGE: Pooling = Pooling::Average { count_padding: false };

fn pool(node: &mut Node<'_>, kind: Pooling) -> Results {
    let format = node.format()?;
    let x = node.image(0, format)?;
    let image = node.shape(x).to_vec();
    let kernel = node.kernel(2, format)?;
    let window = node.window([kernel[0], kernel[1]], &image, format)?;
    Ok(vec![Value::Tensor(node.add_image(Pool { kind, window }, &[x], format)?)])
}

fn volume(node: &mut Node<'_>, kind: Pooling) -> Results {
    let format = node.format()?;
    let x = node.grid(0, 3, format)?;
    let image = node.shape(x).to_vec();
    let slides = node.slides(&node.kernel(3, format)?, &image, format)?;
    let y = compose::pool(&mut before_result(node, format), x, &slides, kind)?;
    Ok(vec![Value::Tensor(node.in_format(y, format)?)])
}
