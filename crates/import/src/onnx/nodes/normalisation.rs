//! Normalisation, by constants and by the values at hand.

use cryptflow_ring::Movement;

use super::{Node, Results, Row, Value, row};
use crate::compose::{self, kept};
use crate::docs as doc;
use crate::picture::Format;
use crate::value::Fault;
use cryptflow_graph::{Arithmetic, Function, NodeId, Op, Reduction};

pub(super) const TABLE: &[Row] = &[
    row("BatchNormalization", batch, doc::LINEAR.note(doc::notes::INFERENCE)),
    row("InstanceNormalization", instance, doc::NORMALISATION),
    row(
        "LayerNormalization",
        layer,
        doc::NORMALISATION.note("the mean and 1/√ of the variance are results, too"),
    ),
    row("GroupNormalization", group, doc::NORMALISATION),
    row("RMSNormalization", root_mean_square, doc::NORMALISATION.note("without the mean")),
    // ONNX Runtime's name for it, among ONNX's own.
    row("SimplifiedLayerNormalization", root_mean_square, doc::NORMALISATION.note("without the mean")),
    row("MeanVarianceNormalization", mean_variance, doc::NORMALISATION),
    row("LpNormalization", by_norm, doc::NORMALISATION.note("in the norms 1 (a quotient) and 2")),
    row(
        "LRN",
        local_response,
        doc::POWER.note("of a sum of squares of neighbours, and a product; of three axes or more"),
    ),
];

fn batch(node: &mut Node<'_>) -> Results {
    if node.attr_flag("training_mode", false)? || node.is_wanted(1) {
        return Err("normalises by the batch at hand, as in training. Export the model for inference".into());
    }
    let epsilon = node.attr_float("epsilon", 1e-5)?;
    let x = node.tensor(0)?;
    let format = if node.shape(x).len() > 2 { Format::ChannelsFirst } else { Format::ChannelsLast };
    let x = node.channels_last(x, format)?;
    node.normalised(x, epsilon, format, "normalised")
}

/// `(x − mean) / sqrt(variance + epsilon)` over these axes.
fn standardised(node: &mut Node<'_>, x: NodeId, axes: Vec<usize>, epsilon: f32) -> Result<NodeId, Fault> {
    let mean = node.add_part("mean", kept(Reduction::Mean, axes.clone()), &[x])?;
    let centred = node.add_part("centred", Arithmetic::Sub, &[x, mean])?;
    by_root_mean_square(node, centred, axes, epsilon)
}

/// `x / sqrt(mean(x²) + epsilon)` over these axes.
fn by_root_mean_square(
    node: &mut Node<'_>,
    x: NodeId,
    axes: Vec<usize>,
    epsilon: f32,
) -> Result<NodeId, Fault> {
    let factor = root_mean_square_factor(node, x, axes, epsilon)?;
    node.add_part("standardised", Arithmetic::Mul, &[x, factor])
}

/// `1 / sqrt(mean(x²) + epsilon)` over these axes, which stay.
fn root_mean_square_factor(
    node: &mut Node<'_>,
    x: NodeId,
    axes: Vec<usize>,
    epsilon: f32,
) -> Result<NodeId, Fault> {
    let squares = node.add_part("squares", Arithmetic::Mul, &[x, x])?;
    let variance = node.add_part("variance", kept(Reduction::Mean, axes), &[squares])?;
    let epsilon = node.add_number("epsilon", epsilon);
    let sum = node.add_part("with_epsilon", Arithmetic::Add, &[variance, epsilon])?;
    node.add_part("factor", Function::RSQRT, &[sum])
}

/// A vector of channels in the shape that broadcasts along axis 1.
fn along_channels(node: &mut Node<'_>, i: usize, rank: usize) -> Result<NodeId, Fault> {
    let vector = node.tensor(i)?;
    let mut shape = vec![1; rank.saturating_sub(1)];
    match (shape.first_mut(), node.shape(vector)) {
        (Some(first), &[n]) => *first = n,
        (_, other) => return Err(format!("operand {i} must be a vector, not {other:?}").into()),
    }
    node.move_part(&format!("vector_{i}"), Movement::Reshape { shape }, vector)
}

fn instance(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let rank = node.shape(x).len();
    if rank < 3 {
        return Err(format!("normalises a picture of the shape {:?}", node.shape(x)).into());
    }
    let epsilon = node.attr_float("epsilon", 1e-5)?;
    let (scale, bias) = (along_channels(node, 1, rank)?, along_channels(node, 2, rank)?);
    let y = standardised(node, x, (2..rank).collect(), epsilon)?;
    let y = node.add_part("scaled", Arithmetic::Mul, &[y, scale])?;
    node.result(Arithmetic::Add, &[y, bias])
}

/// The axes from `axis` on.
fn trailing(node: &Node<'_>, rank: usize) -> Result<Vec<usize>, Fault> {
    Ok((node.attr_axis("axis", -1, rank)?..rank).collect())
}

fn layer(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let axes = trailing(node, node.shape(x).len())?;
    let epsilon = node.attr_float("epsilon", 1e-5)?;
    let scale = node.tensor(1)?;
    let bias = if node.has(2) { Some(node.tensor(2)?) } else { None };
    Ok(layer_of(node, x, axes, epsilon, (scale, bias))?.map(Value::Tensor).to_vec())
}

/// `scale · (x − mean) / sqrt(variance + epsilon) + bias` over these axes as the node's first result, the mean, and
/// what is multiplied with.
pub(super) fn layer_of(
    node: &mut Node<'_>,
    x: NodeId,
    axes: Vec<usize>,
    epsilon: f32,
    (scale, bias): (NodeId, Option<NodeId>),
) -> Result<[NodeId; 3], Fault> {
    let mean = node.add_part("mean", kept(Reduction::Mean, axes.clone()), &[x])?;
    let centred = node.add_part("centred", Arithmetic::Sub, &[x, mean])?;
    let factor = root_mean_square_factor(node, centred, axes, epsilon)?;
    let y = node.add_part("standardised", Arithmetic::Mul, &[centred, factor])?;
    let y = match bias {
        Some(bias) => {
            let y = node.add_part("scaled", Arithmetic::Mul, &[y, scale])?;
            node.add(Arithmetic::Add, &[y, bias])?
        }
        None => node.add(Arithmetic::Mul, &[y, scale])?,
    };
    Ok([y, mean, factor])
}

fn root_mean_square(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let axes = trailing(node, node.shape(x).len())?;
    let epsilon = node.attr_float("epsilon", 1e-5)?;
    let scale = node.tensor(1)?;
    Ok(root_mean_square_of(node, x, axes, epsilon, scale)?.map(Value::Tensor).to_vec())
}

/// `scale · x / sqrt(mean(x²) + epsilon)` over these axes as the node's first result, and what is multiplied with.
pub(super) fn root_mean_square_of(
    node: &mut Node<'_>,
    x: NodeId,
    axes: Vec<usize>,
    epsilon: f32,
    scale: NodeId,
) -> Result<[NodeId; 2], Fault> {
    let factor = root_mean_square_factor(node, x, axes, epsilon)?;
    let y = node.add_part("standardised", Arithmetic::Mul, &[x, factor])?;
    Ok([node.add(Arithmetic::Mul, &[y, scale])?, factor])
}

/// Groups of channels; scale and bias for each group up to version 20, for each channel since 21.
fn group(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let shape = node.shape(x).to_vec();
    let groups = usize::try_from(node.attr_int("num_groups", 0)?).unwrap_or(0);
    let (Some(&batch), Some(&channels)) = (shape.first(), shape.get(1)) else {
        return Err(format!("normalises a picture of the shape {shape:?}").into());
    };
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(format!("has {groups} groups of {channels} channels").into());
    }
    let epsilon = node.attr_float("epsilon", 1e-5)?;
    let per_group = node.shape_of(1)?.first() == Some(&groups) && groups != channels;
    let rest: usize = shape[1..].iter().product::<usize>() / groups;
    let split = vec![batch, groups, rest];
    let flat = node.move_part("groups", Movement::Reshape { shape: split }, x)?;
    let mut y = standardised(node, flat, vec![2], epsilon)?;
    if per_group {
        let (scale, bias) = (along_channels(node, 1, 3)?, along_channels(node, 2, 3)?);
        y = node.add_part("scaled", Arithmetic::Mul, &[y, scale])?;
        y = node.add_part("shifted", Arithmetic::Add, &[y, bias])?;
        return node.result(Movement::Reshape { shape }, &[y]);
    }
    let rank = shape.len();
    let (scale, bias) = (along_channels(node, 1, rank)?, along_channels(node, 2, rank)?);
    y = node.move_part("whole", Movement::Reshape { shape }, y)?;
    y = node.add_part("scaled", Arithmetic::Mul, &[y, scale])?;
    node.result(Arithmetic::Add, &[y, bias])
}

/// ONNX adds 1e-9 to the deviation here, not to the variance.
fn mean_variance(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let rank = node.shape(x).len();
    let axes = node.axes(usize::MAX, rank)?.unwrap_or_else(|| vec![0, 2, 3]);
    let y = standardised(node, x, axes, 1e-9)?;
    node.result(Op::Identity, &[y])
}

/// `x / |x|` along an axis, in the norm p.
fn by_norm(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let axes = vec![node.attr_axis("axis", -1, node.shape(x).len())?];
    // Zeros stay zeros.
    let tiny = node.add_number("tiny", 1e-30);
    let norm = match node.attr_int("p", 2)? {
        1 => {
            let sizes = node.add_part("sizes", Function::ABS, &[x])?;
            let norm = node.add_part("norm", kept(Reduction::Sum, axes), &[sizes])?;
            node.add_part("above_zero", Arithmetic::Add, &[norm, tiny])?
        }
        2 => {
            let squares = node.add_part("squares", Arithmetic::Mul, &[x, x])?;
            let sum = node.add_part("sum", kept(Reduction::Sum, axes), &[squares])?;
            let sum = node.add_part("above_zero", Arithmetic::Add, &[sum, tiny])?;
            let factor = node.add_part("factor", Function::RSQRT, &[sum])?;
            return node.result(Arithmetic::Mul, &[x, factor]);
        }
        p => {
            return Err(format!(
                "normalises in the norm {p}; 1 and 2 are supported. Write another one with Abs, Pow, \
                     ReduceSum and Div"
            )
            .into());
        }
    };
    node.result(Arithmetic::Div, &[x, norm])
}

/// `x / (bias + alpha / size · sum of squares of neighbouring channels)^beta`.
fn local_response(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let shape = node.shape(x).to_vec();
    let size = usize::try_from(node.attr_int("size", 0)?).unwrap_or(0);
    if !(1..=1 << 10).contains(&size) || shape.len() < 3 {
        return Err(format!("normalises {shape:?} over {size} channels").into());
    }
    let (alpha, beta) = (node.attr_float("alpha", 1e-4)?, node.attr_float("beta", 0.75)?);
    let numbers = [alpha / size as f32, node.attr_float("bias", 1.0)?, beta];
    node.composed(|c| compose::local_response(c, x, 1, [(size - 1) / 2, size / 2], numbers))
}
