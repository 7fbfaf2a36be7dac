//! Pooling, along two axes and three.

use super::convolution::composer;
use super::{Import, Node, Results, Table, Value};
use crate::compose::{self, Pool};
use crate::docs as doc;
use cryptflow_graph::Op;

pub(super) const TABLE: Table = &[
    ("MaxPool", max, doc::MAX_POOL),
    ("AvgPool", average, doc::AVERAGE.note("padding does not count")),
    ("MaxPool3D", max_3d, doc::MAX_POOL.note("over planes, and then over columns")),
    (
        "AvgPool3D",
        average_3d as Import,
        doc::AVERAGE.note("over planes, and then over columns; padding does not count"),
    ),
];

// TensorFlow divides by the number of elements that a window really sees.
const AVERAGE: Pool = Pool::Average { count_padding: false };

fn max(node: &mut Node<'_>) -> Results {
    pool(node, |window| Op::MaxPool { window })
}

fn average(node: &mut Node<'_>) -> Results {
    pool(node, |window| Op::AvgPool { window, count_padding: false })
}

fn pool(node: &mut Node<'_>, op: impl Fn(cryptflow_ring::Window) -> Op) -> Results {
    let format = node.format()?;
    let x = node.image(0, format)?;
    let image = node.shape(x).to_vec();
    let kernel = node.kernel(2, format)?;
    let window = node.window([kernel[0], kernel[1]], &image, format)?;
    Ok(vec![Value::Tensor(node.add_image(op(window), &[x], format)?)])
}

fn max_3d(node: &mut Node<'_>) -> Results {
    volume(node, Pool::Max)
}

fn average_3d(node: &mut Node<'_>) -> Results {
    volume(node, AVERAGE)
}

fn volume(node: &mut Node<'_>, what: Pool) -> Results {
    let format = node.format()?;
    let x = node.grid(0, 3, format)?;
    let image = node.shape(x).to_vec();
    let slides = node.slides(&node.kernel(3, format)?, &image, format)?;
    let y = compose::pool(&mut composer(node, format), x, &slides, what)?;
    Ok(vec![Value::Tensor(node.in_format(y, format)?)])
}
