//! The rest of a layer: biases, batch normalisation, ReLUs, softmax.

use cryptflow_ring::Movement;

use super::{Node, Results, Row, Value, row};
use crate::docs as doc;
use crate::picture::Format;
use cryptflow_graph::{Activation, Arithmetic};

pub(super) const TABLE: &[Row] = &[
    row("BiasAdd", bias_add, doc::SUM.note(doc::notes::ADDED)),
    row("BiasAddV1", bias_add, doc::SUM.note(doc::notes::ADDED)),
    row("FusedBatchNorm", batch_norm, doc::LINEAR.note(doc::notes::INFERENCE)),
    row("FusedBatchNormV2", batch_norm, doc::LINEAR.note(doc::notes::INFERENCE)),
    row("FusedBatchNormV3", batch_norm, doc::LINEAR.note(doc::notes::INFERENCE)),
    row("Relu", |n| n.of_one(Activation::Relu), doc::RELU),
    row("Relu6", |n| n.of_one(Activation::ClippedRelu { limit: 6.0 }), doc::CLIP.note("at 6")),
    row("Softmax", |n| n.of_one(Activation::Softmax), doc::SOFTMAX.note(doc::notes::CLIENT)),
    row("LogSoftmax", log_softmax, doc::SOFTMAX.note(doc::notes::LOG_SOFTMAX)),
];

fn bias_add(node: &mut Node<'_>) -> Results {
    let (x, mut bias) = (node.floats(0)?, node.floats(1)?);
    let (shape, channels) = (node.shape(x).to_vec(), node.shape(bias).to_vec());
    let first = node.attr_text("data_format", "NHWC")? == "NCHW";
    let axis = if first { Some(1) } else { shape.len().checked_sub(1) };
    let length = axis.and_then(|a| shape.get(a)).copied();
    if channels.len() != 1 || length != channels.first().copied() {
        return Err(format!("the bias {channels:?} does not go with the operand {shape:?}").into());
    }
    if first {
        let mut wide = vec![1; shape.len() - 1];
        wide[0] = channels[0];
        bias = node.add_part("bias", Movement::Reshape { shape: wide }, &[bias])?;
    }
    node.result(Arithmetic::Add, &[x, bias])
}

fn batch_norm(node: &mut Node<'_>) -> Results {
    if node.attr_flag("is_training", true)? {
        return Err("normalises by the batch at hand, as in training. Freeze the graph for inference \
                    (training=False)"
            .into());
    }
    let epsilon = node.attr_float("epsilon", 1e-4)?;
    let format = node.format()?;
    let x = if format == Format::ChannelsLast { node.floats(0)? } else { node.grid(0, 2, format)? };
    node.normalised(x, epsilon, format, "result")
}

fn log_softmax(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    Ok(vec![Value::Tensor(node.log_softmax(None, x)?)])
}
