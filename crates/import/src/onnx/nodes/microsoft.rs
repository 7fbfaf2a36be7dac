//! Operators of ONNX Runtime (`com.microsoft`) that its quantisation makes.

use cryptflow_ring::Movement;

use super::pooling::{average, global_average};
use super::product::{gemm, mat_mul};
use super::quantised;
use super::recurrent::long_short;
use super::{Gives, Node, Number, Results, Row, Value, row};
use crate::compose;
use crate::docs as doc;
use crate::value::{Fault, fits};
use cryptflow_graph::{Arithmetic, Array, Function, NodeId};

/// The domain of these operators.
pub(super) const DOMAIN: &str = "com.microsoft";

const FLOATS: Gives = Gives::All(Number::Float);

/// What is said of those that are on a grid.
const ON_GRID: &str = "of ONNX Runtime, computed with the numbers that the integers stand for";

pub(super) const TABLE: &[Row] = &[
    row("QLinearAdd", |n| of_two(n, Arithmetic::Add), doc::SUM.note(ON_GRID)),
    row("QLinearMul", |n| of_two(n, Arithmetic::Mul), doc::PRODUCT.note(ON_GRID)),
    row(
        "QLinearSigmoid",
        |n| of_one(n, |n| n.function(Function::SIGMOID)),
        doc::of(Function::SIGMOID).note(ON_GRID),
    ),
    row("QLinearLeakyRelu", |n| of_one(n, leaky), doc::RELU.note(ON_GRID)),
    row("QLinearAveragePool", |n| pooled(n, average), doc::AVERAGE.note(ON_GRID)),
    row("QLinearGlobalAveragePool", |n| pooled(n, global_average), doc::AVERAGE.note(ON_GRID)),
    row("QLinearConcat", concat, doc::MOVEMENT.note(ON_GRID)),
    row("QGemm", q_gemm, doc::LINEAR.note(ON_GRID)),
    row("MatMulIntegerToFloat", integers_to_floats, doc::LINEAR.note("of ONNX Runtime")).gives(FLOATS),
    row("DynamicQuantizeMatMul", dynamic_mat_mul, doc::LINEAR.note("of ONNX Runtime; not rounded to a grid"))
        .gives(FLOATS),
    row(
        "DynamicQuantizeLSTM",
        dynamic_lstm,
        doc::LINEAR.note("of ONNX Runtime; as `LSTM`, not rounded to a grid"),
    )
    .gives(FLOATS),
    row(
        "MatMulNBits",
        few_bits,
        doc::LINEAR.note("of ONNX Runtime; weights of 4 or 8 bits, without `g_idx`"),
    )
    .gives(FLOATS),
    row("QuantizeLinear", quantised::quantize, doc::FLOOR.note(doc::notes::ON_GRID))
        .gives(Gives::All(Number::Integer)),
    row("DequantizeLinear", quantised::dequantize, doc::LINEAR.note(doc::notes::OFF_GRID)).gives(FLOATS),
];

/// A and its grid, B and its grid, and the grid of the result.
fn of_two(node: &mut Node<'_>, op: Arithmetic) -> Results {
    let operands = vec![node.real(0, 1)?, node.real(3, 1)?];
    let y = node.of_floats(operands, |n| {
        let (a, b) = (n.tensor(0)?, n.tensor(1)?);
        n.result(op, &[a, b])
    })?;
    node.put_on_grid(y, 6, 7)
}

/// X and its grid, and the grid of the result.
fn of_one(node: &mut Node<'_>, f: fn(&mut Node<'_>) -> Results) -> Results {
    let operands = vec![node.real(0, 1)?];
    let y = node.of_floats(operands, f)?;
    node.put_on_grid(y, 3, 4)
}

fn leaky(node: &mut Node<'_>) -> Results {
    node.function(Function::leaky_relu(0.01))
}

fn pooled(node: &mut Node<'_>, pool: fn(&mut Node<'_>) -> Results) -> Results {
    if node.attr_flag("channels_last", false)? {
        return Err(
            "pools pictures with channels last. Give the model as it was before ONNX Runtime changed it"
                .into(),
        );
    }
    of_one(node, pool)
}

/// The grid of the result, and then each operand with its own.
fn concat(node: &mut Node<'_>) -> Results {
    let count = node.operands.len().saturating_sub(2) / 3;
    let parts = (0..count).map(|i| node.real(2 + 3 * i, 1)).collect::<Result<Vec<_>, _>>()?;
    let y = node.of_floats(parts, |n| {
        let parts = n.tensors()?;
        let rank = parts.first().map_or(0, |&x| n.shape(x).len());
        let axis = n.attr_axis("axis", 0, rank)?;
        n.result(Movement::Concat { axis }, &parts)
    })?;
    node.put_on_grid(y, 0, 1)
}

/// `alpha · (A · B + C)`, C in steps of the product of both grids.
fn q_gemm(node: &mut Node<'_>) -> Results {
    let columns = if node.attr_flag("transB", false)? { 0 } else { 1 };
    let mut operands = vec![node.real(0, 1)?, node.real(3, columns)?];
    if node.has(6) {
        let (a, b, c) = (node.tensor(1)?, node.tensor(4)?, node.tensor(6)?);
        let alpha = node.attr_float("alpha", 1.0)?;
        let name = format!("{}/bias", node.name);
        let builder = &mut node.under(name);
        let alpha = builder.add_numbered_constant(Array::scalar(alpha));
        let steps = builder.add_numbered(Arithmetic::Mul, &[a, b])?;
        let steps = builder.add_numbered(Arithmetic::Mul, &[steps, alpha])?;
        operands.push(Value::Tensor(builder.add_numbered(Arithmetic::Mul, &[c, steps])?));
    }
    let y = node.of_floats(operands, gemm)?;
    if node.has(7) {
        return node.put_on_grid(y, 7, 8);
    }
    node.composed(|_| Ok(y))
}

/// A product of floats, and a bias where there is one, as the node's result.
fn product(node: &mut Node<'_>, a: NodeId, b: NodeId, bias: usize) -> Results {
    let y = node.of_floats(vec![Value::Tensor(a), Value::Tensor(b)], mat_mul)?;
    if node.has(bias) {
        let bias = node.tensor(bias)?;
        return node.result(Arithmetic::Add, &[y, bias]);
    }
    node.composed(|_| Ok(y))
}

/// An operand off the grid that two others say.
fn off(node: &mut Node<'_>, x: usize, scale: usize, zero: usize, axis: i64) -> Result<NodeId, Fault> {
    let grid = node.grid(scale, zero, axis)?;
    let x_id = node.tensor(x)?;
    let name = format!("{}/real_{x}", node.name);
    compose::off_grid(&mut node.under(name), x_id, grid)
}

fn integers_to_floats(node: &mut Node<'_>) -> Results {
    let (a, b) = (off(node, 0, 2, 4, -2)?, off(node, 1, 3, 5, -1)?);
    product(node, a, b, 6)
}

fn dynamic_mat_mul(node: &mut Node<'_>) -> Results {
    let (a, b) = (node.tensor(0)?, off(node, 1, 2, 3, -1)?);
    product(node, a, b, 4)
}

/// Weights lie as `[directions, inputs, 4 · hidden]`, each direction or column with a grid of its own.
fn dynamic_lstm(node: &mut Node<'_>) -> Results {
    let mut operands = node.operands.clone();
    operands.truncate(8);
    for (at, scale) in [(1, 8), (2, 10)] {
        let w = node.tensor(at)?;
        let shape = node.shape(w).to_vec();
        let name = format!("{}/weights_{at}", node.name);
        let mut grid = node.grid(scale, scale + 1, 0)?;
        let c = &mut node.under(name);
        for part in [Some(&mut grid.scale), grid.zero.as_mut()].into_iter().flatten() {
            // One for a direction, or one for each of its columns.
            if let &[directions, columns] = c.shape(*part) {
                let wide = c.reshape(vec![directions, 1, columns], *part)?;
                *part = c.move_elements(Movement::Broadcast { shape: shape.clone() }, wide)?;
            }
        }
        let real = compose::off_grid(c, w, grid)?;
        operands[at] = Value::Tensor(c.transpose(vec![0, 2, 1], real)?);
    }
    let given = std::mem::replace(&mut node.operands, operands);
    let results = long_short(node);
    node.operands = given;
    results
}

/// `A · Bᵀ`, B in blocks of integers of few bits, each with a scale and a zero.
fn few_bits(node: &mut Node<'_>) -> Results {
    if node.has(4) {
        return Err(
            "has weights whose groups are out of order (g_idx), for which there is no rule here".into()
        );
    }
    let size = |name: &str| usize::try_from(node.attr_int(name, 0)?).map_err(|_| Node::wrong(name));
    let (k, n, block, bits) = (size("K")?, size("N")?, size("block_size")?, node.attr_int("bits", 4)?);
    if !matches!(bits, 4 | 8) || block == 0 || k == 0 {
        return Err(format!("has weights of {bits} bits in blocks of {block}").into());
    }
    fits(&[n, k])?;
    let blocks = k.div_ceil(block);
    let scales = node.known(2)?;
    let packed = node.ints(1)?;
    // Of each row, so many numbers to a byte, the lower half first.
    let number = |bytes: &[i64], row: usize, count: usize, i: usize| {
        if bits == 8 {
            return bytes.get(row * count + i).copied();
        }
        let byte = bytes.get(row * count.div_ceil(2) + i / 2)?;
        Some(byte >> (4 * (i % 2)) & 15)
    };
    let zeros = if node.has(3) { Some(node.operand(3)?.clone()) } else { None };
    let zero = |node: &Node<'_>, row: usize, at: usize| match &zeros {
        None => Some((1 << (bits - 1)) as f32),
        Some(Value::Int(ints)) => number(&ints.data, row, blocks, at).map(|zero| zero as f32),
        Some(Value::Tensor(id)) => node.constant_of(*id)?.data.get(row * blocks + at).copied(),
        // Nothing else holds numbers.
        Some(_) => None,
    };
    let mut weights = Vec::with_capacity(n * k);
    for row in 0..n {
        for column in 0..k {
            let at = column / block;
            let steps = number(&packed.data, row * blocks + at, block, column % block);
            let (Some(steps), Some(zero), Some(&scale)) =
                (steps, zero(node, row, at), scales.data.get(row * blocks + at))
            else {
                return Err(format!("has no weights for {n} by {k} numbers: the file is damaged").into());
            };
            weights.push((steps as f32 - zero) * scale);
        }
    }
    let a = node.tensor(0)?;
    let b = node.add_constant("weights", Array::new(vec![n, k], weights)?);
    let name = format!("{}/transposed", node.name);
    let b = node.under(name).transpose(vec![1, 0], b)?;
    product(node, a, b, 5)
}
