//! Convolutions.

use cryptflow_ring::Movement;

use super::{Import, Node, Results, Table, Value};
use crate::graph::{NodeId, Op};
use crate::import::value::Fault;

pub(super) const TABLE: Table = &[("Conv", conv as Import)];

fn conv(node: &mut Node<'_>) -> Results {
    let shape = node.shape_of(0)?;
    let (x, picture) = node.picture(0)?;
    let filter = constant_filter(node)?;
    let of = node.shape(filter).to_vec();
    if of.len() != shape.len() {
        return Err(format!("its filter {of:?} does not go with the operand {shape:?}").into());
    }
    let axes = node.window(of[2..].to_vec(), &picture)?;
    let Some(window) = axes.window() else {
        return Err(format!("convolves over {} axes. One and two are supported", picture.len()).into());
    };
    let groups = usize::try_from(node.attr_int("group", 1)?).map_err(|_| Node::wrong("group"))?;
    // Channels out, channels in, height, width → height, width, channels in, channels out.
    let mut filter = filter;
    if let &[outputs, inputs, length] = of.as_slice() {
        let shape = vec![outputs, inputs, 1, length];
        filter = node.moved_part("filter_row", Movement::Reshape { shape }, filter)?;
    }
    let permutation = vec![2, 3, 1, 0];
    let w = node.moved_part("filter", Movement::Transpose { permutation }, filter)?;
    let mut y = node.part("conv", Op::Conv2d { window, groups }, &[x, w])?;
    y = biased(node, y, 2)?;
    Ok(vec![Value::Tensor(node.unpicture(y, picture.len())?)])
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
    node.part("biased", Op::Add, &[y, bias])
}

fn constant_filter(node: &mut Node<'_>) -> Result<NodeId, Fault> {
    let filter = node.tensor(1)?;
    if node.graph.constant(filter).is_none() {
        return Err("its filter is computed from an input. Only constant filters are supported: export the model for \
                    inference, with its weights as constants"
            .into());
    }
    Ok(filter)
}
