//! The rest of a layer: biases, batch normalisation, ReLUs, softmax.

use cryptflow_ring::Movement;

use super::window::Format;
use super::{Node, Results, Row, Value, row};
use crate::compose::kept;
use crate::docs as doc;
use cryptflow_graph::{Activation, Arithmetic, Function, Linear, Reduction};

pub(super) const TABLE: &[Row] = &[
    row("BiasAdd", bias_add, doc::SUM.note(doc::notes::ADDED)),
    row("BiasAddV1", bias_add, doc::SUM.note(doc::notes::ADDED)),
    row("FusedBatchNorm", batch_norm, doc::LINEAR.note(doc::notes::INFERENCE)),
    row("FusedBatchNormV2", batch_norm, doc::LINEAR.note(doc::notes::INFERENCE)),
    row("FusedBatchNormV3", batch_norm, doc::LINEAR.note(doc::notes::INFERENCE)),
    row("Relu", |n| activation(n, Activation::Relu), doc::RELU),
    row("Relu6", |n| activation(n, Activation::ClippedRelu { limit: 6.0 }), doc::CLIP.note("at 6")),
    row("Softmax", |n| activation(n, Activation::Softmax), doc::SOFTMAX.note(doc::notes::CLIENT)),
    row("LogSoftmax", log_softmax, doc::SOFTMAX.note(doc::notes::LOG_SOFTMAX)),
];

fn bias_add(node: &mut Node<'_>) -> Results {
    let (x, mut bias) = (node.floats(0)?, node.floats(1)?);
    let (shape, channels) = (node.shape(x).to_vec(), node.shape(bias).to_vec());
    let first = node.attr_str("data_format", "NHWC")? == "NCHW";
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
    if node.attr_bool("is_training", true)? {
        return Err("normalises by the batch at hand, as in training. Freeze the graph for inference \
                    (training=False)"
            .into());
    }
    let epsilon = node.attr_float("epsilon", 1e-4)?;
    let format = node.format()?;
    let mut inputs =
        vec![if format == Format::ChannelsLast { node.floats(0)? } else { node.image(0, format)? }];
    for i in 1..5 {
        let vector = node.floats(i)?;
        if node.constant_of(vector).is_none() {
            return Err(format!("operand {i} is not constant: freeze the graph for inference").into());
        }
        inputs.push(vector);
    }
    Ok(vec![Value::Tensor(node.add_image(Linear::BatchNorm { epsilon }, &inputs, format)?)])
}

fn activation(node: &mut Node<'_>, activation: Activation) -> Results {
    let x = node.floats(0)?;
    node.result(activation, &[x])
}

/// `x − max − ln Σ e^(x − max)`, along the last axis.
fn log_softmax(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let Some(last) = node.shape(x).len().checked_sub(1) else {
        return Err("the operand is a scalar: it has no last axis".into());
    };
    let axes = vec![last];
    let largest = node.add_part("max", kept(Reduction::Max, axes.clone()), &[x])?;
    let below = node.add_part("below", Arithmetic::Sub, &[x, largest])?;
    let terms = node.add_part("exp", Function::EXP, &[below])?;
    let sum = node.add_part("sum", kept(Reduction::Sum, axes), &[terms])?;
    let logarithm = node.add_part("log", Function::LOG, &[sum])?;
    node.result(Arithmetic::Sub, &[below, logarithm])
}
