//! Convolutions.

use cryptflow_ring::Movement;

use super::{Fault, Import, Node, Results, Table, Value};
use crate::graph::{NodeId, Op};

pub(super) const TABLE: Table = &[("Conv2D", conv), ("DepthwiseConv2dNative", depth_wise as Import)];

fn conv(node: &mut Node<'_>) -> Results {
    let format = node.format()?;
    let x = node.image(0, format)?;
    let w = filter(node)?;
    let &[kh, kw, group_channels, _] = node.shape(w) else {
        return Err(format!("its filter must have four axes, but has the shape {:?}", node.shape(w)).into());
    };
    let image = node.shape(x).to_vec();
    let channels = image.last().copied().unwrap_or(0);
    if group_channels == 0 || !channels.is_multiple_of(group_channels) {
        return Err(format!(
            "its filter {:?} does not go with the {channels} channels of its operand",
            node.shape(w)
        )
        .into());
    }
    let window = node.window([kh, kw], &image, format)?;
    let groups = channels / group_channels;
    Ok(vec![Value::Tensor(node.add_image(Op::Conv2d { window, groups }, &[x, w], format)?)])
}

fn depth_wise(node: &mut Node<'_>) -> Results {
    let format = node.format()?;
    let x = node.image(0, format)?;
    let w = filter(node)?;
    let &[kh, kw, channels, multiplier] = node.shape(w) else {
        return Err(format!("its filter must have four axes, but has the shape {:?}", node.shape(w)).into());
    };
    let shape = vec![kh, kw, 1, channels.saturating_mul(multiplier)];
    let w = node.add_part("filter", Op::Movement(Movement::Reshape { shape }), &[w])?;
    let image = node.shape(x).to_vec();
    let window = node.window([kh, kw], &image, format)?;
    let op = Op::Conv2d { window, groups: channels };
    Ok(vec![Value::Tensor(node.add_image(op, &[x, w], format)?)])
}

fn filter(node: &Node<'_>) -> Result<NodeId, Fault> {
    let w = node.tensor(1)?;
    match node.constant_of(w) {
        Some(_) => Ok(w),
        None => Err(
            "its filter is computed from an input. Only constant filters are supported: freeze the graph \
                     for inference, so that variables become constants"
                .into(),
        ),
    }
}
