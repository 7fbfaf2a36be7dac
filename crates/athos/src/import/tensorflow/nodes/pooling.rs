//! Pooling.

use super::{Import, Node, Results, Table, Value};
use crate::graph::Op;

pub(super) const TABLE: Table = &[("MaxPool", max), ("AvgPool", average as Import)];

fn max(node: &mut Node<'_>) -> Results {
    pool(node, |window| Op::MaxPool { window })
}

fn average(node: &mut Node<'_>) -> Results {
    // TensorFlow divides by the number of elements that a window really sees.
    pool(node, |window| Op::AvgPool { window, count_padding: false })
}

fn pool(node: &mut Node<'_>, op: impl Fn(cryptflow_ring::Window) -> Op) -> Results {
    let format = node.format()?;
    let x = node.image(0, format)?;
    let image = node.shape(x).to_vec();
    let window = node.window(node.kernel(format)?, &image, format)?;
    Ok(vec![Value::Tensor(node.add_image(op(window), &[x], format)?)])
}
