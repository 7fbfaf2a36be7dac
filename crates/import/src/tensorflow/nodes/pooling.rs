//! Pooling, along two axes and three.

use super::{Node, Results, Row, row};
use crate::compose;
use crate::docs as doc;
use cryptflow_graph::Pooling;

pub(super) const TABLE: &[Row] = &[
    row("MaxPool", |n| pool(n, 2, Pooling::Max), doc::MAX_POOL),
    row("AvgPool", |n| pool(n, 2, AVERAGE), doc::AVERAGE.note("padding does not count")),
    row("MaxPool3D", |n| pool(n, 3, Pooling::Max), doc::MAX_POOL.note("over planes, and then over columns")),
    row(
        "AvgPool3D",
        |n| pool(n, 3, AVERAGE),
        doc::AVERAGE.note("over planes, and then over columns; padding does not count"),
    ),
];

// TensorFlow divides by the number of elements that a window really sees.
const AVERAGE: Pooling = Pooling::Average { count_padding: false };

/// Along so many spatial axes.
fn pool(node: &mut Node<'_>, spatial: usize, kind: Pooling) -> Results {
    let format = node.format()?;
    let x = node.grid(0, spatial, format)?;
    let image = node.shape(x).to_vec();
    let slides = node.slides(&node.kernel(spatial, format)?, &image, format)?;
    let y = compose::pool(&mut node.before_result(format), x, &slides, kind)?;
    node.in_format(y, format)
}
