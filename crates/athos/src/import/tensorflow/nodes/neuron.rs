//! The rest of a layer: matrix products, biases, batch normalisation, activations.

use cryptflow_ring::Movement;

use super::window::Format;
use super::{Fault, Import, Node, Results, Table, Value};
use crate::graph::{Array, NodeId, Op};

pub(super) const TABLE: Table = &[
    ("MatMul", mat_mul),
    ("BatchMatMul", batch_mat_mul),
    ("BatchMatMulV2", batch_mat_mul),
    ("BatchMatMulV3", batch_mat_mul),
    ("BiasAdd", bias_add),
    ("BiasAddV1", bias_add),
    ("FusedBatchNorm", batch_norm),
    ("FusedBatchNormV2", batch_norm),
    ("FusedBatchNormV3", batch_norm),
    ("Relu", relu),
    ("Relu6", relu6),
    ("LeakyRelu", leaky_relu),
    ("Softmax", softmax as Import),
];

fn mat_mul(node: &mut Node<'_>) -> Results {
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    let transpose_a = node.attr_bool("transpose_a", false)?;
    let transpose_b = node.attr_bool("transpose_b", false)?;
    one_constant(node, a, b)?;
    Ok(vec![Value::Tensor(node.add(Op::MatMul { transpose_a, transpose_b }, &[a, b])?)])
}

/// Products of stacks of matrices by one matrix are products of one tall matrix.
fn batch_mat_mul(node: &mut Node<'_>) -> Results {
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    let adjoint_a = node.attr_bool("adj_x", false)?;
    let transpose_b = node.attr_bool("adj_y", false)?;
    one_constant(node, a, b)?;
    let (shape_a, shape_b) = (node.shape(a).to_vec(), node.shape(b).to_vec());
    let product = |transpose_a| Op::MatMul { transpose_a, transpose_b };
    if shape_a.len() == 2 && shape_b.len() == 2 {
        return Ok(vec![Value::Tensor(node.add(product(adjoint_a), &[a, b])?)]);
    }
    let (&[b0, b1], Some((&inner, leading)), false) = (shape_b.as_slice(), shape_a.split_last(), adjoint_a)
    else {
        return Err(format!(
            "multiplies stacks of matrices, {shape_a:?} by {shape_b:?}. Only a stack by one constant matrix is \
             supported"
        )
        .into());
    };
    let rows: usize = leading.iter().product();
    let tall = Movement::Reshape { shape: vec![rows, inner] };
    let x = node.add_part("rows", Op::Movement(tall), &[a])?;
    let y = node.add_part("product", product(false), &[x, b])?;
    let mut shape = leading.to_vec();
    shape.push(if transpose_b { b0 } else { b1 });
    Ok(vec![Value::Tensor(node.add(Op::Movement(Movement::Reshape { shape }), &[y])?)])
}

/// A product needs a constant side.
pub(super) fn one_constant(node: &Node<'_>, a: NodeId, b: NodeId) -> Result<(), Fault> {
    if node.constant_of(a).is_none() && node.constant_of(b).is_none() {
        return Err("multiplies two values that both depend on inputs (as attention and gates do). Only products with \
                    constants are supported: if one side is a weight, freeze the graph for inference"
            .into());
    }
    Ok(())
}

fn bias_add(node: &mut Node<'_>) -> Results {
    let (x, mut bias) = (node.tensor(0)?, node.tensor(1)?);
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
        bias = node.add_part("bias", Op::Movement(Movement::Reshape { shape: wide }), &[bias])?;
    }
    Ok(vec![Value::Tensor(node.add(Op::Add, &[x, bias])?)])
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
        vec![if format == Format::ChannelsLast { node.tensor(0)? } else { node.image(0, format)? }];
    for i in 1..5 {
        let vector = node.tensor(i)?;
        if node.constant_of(vector).is_none() {
            return Err(format!("operand {i} is not constant: freeze the graph for inference").into());
        }
        inputs.push(vector);
    }
    Ok(vec![Value::Tensor(node.add_image(Op::BatchNorm { epsilon }, &inputs, format)?)])
}

fn relu(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    Ok(vec![Value::Tensor(node.add(Op::Relu, &[x])?)])
}

fn relu6(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    Ok(vec![Value::Tensor(node.add(Op::ClippedRelu { limit: 6.0 }, &[x])?)])
}

/// `alpha x + (1 − alpha) relu(x)`.
fn leaky_relu(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let alpha = node.attr_float("alpha", 0.2)?;
    let slope = node.add_constant("alpha", Array::scalar(alpha));
    let rest = node.add_constant("one_minus_alpha", Array::scalar(1.0 - alpha));
    let positive = node.add_part("relu", Op::Relu, &[x])?;
    let positive = node.add_part("positive", Op::Mul, &[positive, rest])?;
    let line = node.add_part("line", Op::Mul, &[x, slope])?;
    Ok(vec![Value::Tensor(node.add(Op::Add, &[line, positive])?)])
}

fn softmax(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    Ok(vec![Value::Tensor(node.add(Op::Softmax, &[x])?)])
}
