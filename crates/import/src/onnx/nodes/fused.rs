//! Operators of ONNX Runtime (`com.microsoft`) that its optimiser makes of several of ONNX's: normalisations behind a
//! sum, activations behind a bias, embeddings.

use super::normalisation::{layer_of, root_mean_square_of};
use super::product::mat_mul;
use super::{Node, Results, Row, Value, row};
use crate::compose::{self, Ids};
use crate::docs as doc;
use crate::value::Fault;
use cryptflow_graph::{Arithmetic, Array, Function, NodeId};
use cryptflow_ring::Movement;

pub(super) const TABLE: &[Row] = &[
    row("SkipLayerNormalization", skip_layer, doc::NORMALISATION.note("of a sum, which is a result, too")),
    row(
        "SkipSimplifiedLayerNormalization",
        skip_root_mean_square,
        doc::NORMALISATION.note("of a sum, which is a result, too; without the mean"),
    ),
    row(
        "EmbedLayerNormalization",
        embedded,
        doc::NORMALISATION.note("of a sum of look-ups, as `Gather` has them; the mask is no result"),
    )
    .gives(super::Gives::All(super::Number::Float)),
    row("Gelu", |n| n.function(Function::GELU), doc::GELU),
    row("FastGelu", |n| behind_a_bias(n, Function::GELU_TANH), doc::GELU),
    row("BiasGelu", |n| behind_a_bias(n, Function::GELU), doc::GELU),
    row("QuickGelu", quick_gelu, doc::SWISH),
    row("FusedMatMul", scaled_product, doc::LINEAR.note(doc::notes::STACK)),
];

/// The sum of operands 0, 1 and, where it is given, `bias`.
fn sum(node: &mut Node<'_>, bias: usize) -> Result<NodeId, Fault> {
    let mut operands = vec![node.tensor(0)?, node.tensor(1)?];
    if node.has(bias) {
        operands.push(node.tensor(bias)?);
    }
    let mut all = operands[0];
    for (i, &next) in operands.iter().enumerate().skip(1) {
        all = node.add_part(&format!("sum_{i}"), Arithmetic::Add, &[all, next])?;
    }
    Ok(all)
}

fn last_axis_of(node: &Node<'_>, x: NodeId) -> Result<Vec<usize>, Fault> {
    node.shape(x).len().checked_sub(1).map(|last| vec![last]).ok_or_else(|| "normalises one number".into())
}

fn skip_layer(node: &mut Node<'_>) -> Results {
    let epsilon = node.attr_float("epsilon", 1e-12)?;
    let x = sum(node, 4)?;
    let axes = last_axis_of(node, x)?;
    let scale = node.tensor(2)?;
    let bias = if node.has(3) { Some(node.tensor(3)?) } else { None };
    let [y, mean, factor] = layer_of(node, x, axes, epsilon, (scale, bias))?;
    Ok([y, mean, factor, x].map(Value::Tensor).to_vec())
}

fn skip_root_mean_square(node: &mut Node<'_>) -> Results {
    let epsilon = node.attr_float("epsilon", 1e-12)?;
    if node.is_wanted(1) || node.is_wanted(2) {
        return Err(
            "gives its mean or its deviation, which is not supported. End the model without them".into()
        );
    }
    let x = sum(node, 3)?;
    let axes = last_axis_of(node, x)?;
    let scale = node.tensor(2)?;
    let [y, factor] = root_mean_square_of(node, x, axes, epsilon, scale)?;
    Ok([y, factor, factor, x].map(Value::Tensor).to_vec())
}

/// Words, their places, and of which segment they are: the rows of three tables, summed and normalised.
fn embedded(node: &mut Node<'_>) -> Results {
    if node.is_wanted(1) {
        return Err("counts the words that a mask shows, which is not supported. Export the model without the optimiser \
                    of ONNX Runtime"
            .into());
    }
    let ids_shape = node.shape_of(0)?;
    let length = ids_shape.last().copied().unwrap_or(0);
    let mut all = rows_of(node, 0, 2)?;
    let places = if node.has(8) {
        rows_of(node, 8, 3)?
    } else {
        let table = node.tensor(3)?;
        if node.shape(table).first().is_none_or(|&rows| length > rows) {
            return Err(format!("has {length} words for {:?} places", node.shape(table)).into());
        }
        let indices = (0..length).collect();
        node.move_part("places", Movement::Gather { axis: 0, indices }, table)?
    };
    all = node.add_part("with_places", Arithmetic::Add, &[all, places])?;
    if node.has(1) && node.has(4) {
        let segments = rows_of(node, 1, 4)?;
        all = node.add_part("with_segments", Arithmetic::Add, &[all, segments])?;
    }
    let epsilon = node.attr_float("epsilon", 1e-12)?;
    let axes = last_axis_of(node, all)?;
    let (scale, bias) = (node.tensor(5)?, node.tensor(6)?);
    let [y, ..] = layer_of(node, all, axes, epsilon, (scale, Some(bias)))?;
    Ok(vec![Value::Tensor(y), Value::Absent, Value::Tensor(all)])
}

/// The rows of a table that an operand says.
fn rows_of(node: &mut Node<'_>, ids: usize, table: usize) -> Result<NodeId, Fault> {
    let table = node.tensor(table)?;
    let name = format!("{}/rows_{ids}", node.name);
    if let Ok(known) = node.ints(ids) {
        let rows = node.shape(table).first().copied().unwrap_or(0);
        let indices = known.data.iter().map(|&i| crate::value::place(i, rows)).collect::<Result<_, _>>()?;
        let size = node.shape(table).last().copied().unwrap_or(0);
        let c = &mut node.under(name);
        let found = c.move_elements(Movement::Gather { axis: 0, indices }, table)?;
        return c.reshape([&known.shape[..], &[size]].concat(), found);
    }
    let ids = Ids { node: node.tensor(ids)?, from_end: false };
    compose::looked_up(&mut node.under(name), table, 0, ids)
}

fn behind_a_bias(node: &mut Node<'_>, function: Function) -> Results {
    let mut x = node.tensor(0)?;
    if node.has(1) {
        let bias = node.tensor(1)?;
        x = node.add_part("with_bias", Arithmetic::Add, &[x, bias])?;
    }
    node.result(function, &[x])
}

/// `x · sigmoid(alpha · x)`.
fn quick_gelu(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let alpha = node.attr_float("alpha", 1.702)?;
    if alpha == 0.0 {
        return Err(Node::wrong("alpha"));
    }
    let (factor, back) = (node.add_number("alpha", alpha), node.add_number("one_by_alpha", 1.0 / alpha));
    let scaled = node.add_part("scaled", Arithmetic::Mul, &[x, factor])?;
    let swish = node.add_part("swish", Function::SWISH, &[scaled])?;
    node.result(Arithmetic::Mul, &[swish, back])
}

/// `alpha · A · B`, of which either may be transposed.
fn scaled_product(node: &mut Node<'_>) -> Results {
    if node.attr_flag("transBatchA", false)? || node.attr_flag("transBatchB", false)? {
        return Err("exchanges axes of a batch, for which there is no rule here. Export the model without the optimiser of \
                    ONNX Runtime"
            .into());
    }
    let alpha = node.attr_float("alpha", 1.0)?;
    let mut operands = [node.tensor(0)?, node.tensor(1)?];
    for (i, name) in ["transA", "transB"].into_iter().enumerate() {
        let rank = node.shape(operands[i]).len();
        if node.attr_flag(name, false)? && rank > 1 {
            let permutation = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
            let part = format!("operand_{i}_transposed");
            operands[i] = node.move_part(&part, Movement::Transpose { permutation }, operands[i])?;
        }
    }
    if alpha != 1.0 {
        let factor = node.add_constant("alpha", Array::scalar(alpha));
        operands[0] = node.add_part("scaled", Arithmetic::Mul, &[operands[0], factor])?;
    }
    let y = node.of_floats(operands.map(Value::Tensor).to_vec(), mat_mul)?;
    node.composed(|_| Ok(y))
}
