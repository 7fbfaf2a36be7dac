//! Operators of quantised models, which compute with integers that stand for numbers on a grid. They become
//! the operators of floats that they stand for, see [`compose::Grid`].

use super::convolution::conv;
use super::product::mat_mul;
use super::{Gives, Node, Number, Results, Row, Value, row};
use crate::compose::{self, Grid};
use crate::docs as doc;
use crate::onnx::messages::DataType;
use crate::value::Fault;
use cryptflow_graph::{Arithmetic, Array, NodeId};

const FLOATS: Gives = Gives::All(Number::Float);
const INTEGERS: Gives = Gives::All(Number::Integer);

pub(super) const TABLE: &[Row] = &[
    row("QuantizeLinear", quantize, doc::FLOOR.note(doc::notes::ON_GRID)).gives(INTEGERS),
    row("DequantizeLinear", dequantize, doc::LINEAR.note(doc::notes::OFF_GRID)).gives(FLOATS),
    row(
        "DynamicQuantizeLinear",
        dynamic,
        doc::NONE.note("the numbers themselves, in steps of one: not where an integer or a step is an output of the model"),
    )
    .gives(FLOATS),
    row("QLinearConv", q_conv, doc::LINEAR.note(doc::notes::ON_GRID)).gives(INTEGERS),
    row("QLinearMatMul", q_mat_mul, doc::LINEAR.note(doc::notes::ON_GRID)).gives(INTEGERS),
    row("ConvInteger", conv_integer, doc::LINEAR.note("the filter is a constant")).gives(FLOATS),
    row("MatMulInteger", mat_mul_integer, doc::LINEAR.note(doc::notes::STACK)).gives(FLOATS),
];

/// The integers of a type: what a grid of that type can hold.
pub(super) fn limits(dtype: DataType) -> Option<[f32; 2]> {
    match dtype {
        DataType::Uint4 => Some([0.0, 15.0]),
        DataType::Int4 => Some([-8.0, 7.0]),
        DataType::Uint8 => Some([0.0, 255.0]),
        DataType::Int8 => Some([-128.0, 127.0]),
        DataType::Uint16 => Some([0.0, 65535.0]),
        DataType::Int16 => Some([-32768.0, 32767.0]),
        DataType::Int32 => Some([-2147483648.0, 2147483520.0]),
        // No grid has numbers of another type.
        _ => None,
    }
}

impl Node<'_> {
    /// The grid that two operands say.
    pub(super) fn grid(&mut self, scale: usize, zero: usize, axis: i64) -> Result<Grid, Fault> {
        let scale = self.tensor(scale)?;
        let zero = if self.has(zero) { Some(self.tensor(zero)?) } else { None };
        Ok(Grid { scale, zero, axis })
    }

    /// What the integers on a grid can be whose zero is this operand, which has their type.
    pub(super) fn grid_limits(&self, zero: usize) -> Result<[f32; 2], Fault> {
        if !self.has(zero) {
            return Ok([0.0, 255.0]);
        }
        let found = self.message.types.get(zero).copied().flatten().and_then(limits);
        found.ok_or_else(|| {
            Fault::from("puts numbers on a grid of a type that is not known here: its zero must be a constant of integers")
        })
    }

    /// An operand off its grid, as a value: a scale and a zero are the next two operands.
    pub(super) fn real(&mut self, x: usize, axis: i64) -> Result<Value, Fault> {
        let grid = self.grid(x + 1, x + 2, axis)?;
        let x_id = self.tensor(x)?;
        let name = format!("{}/real_{x}", self.name);
        Ok(Value::Tensor(compose::off_grid(&mut self.under(name), x_id, grid)?))
    }

    /// What an operator of floats makes of these operands, on the way to this node's result.
    pub(super) fn of_floats(
        &mut self,
        operands: Vec<Value>,
        operator: impl FnOnce(&mut Self) -> Results,
    ) -> Result<NodeId, Fault> {
        self.message.numbers = vec![Number::Float; operands.len()];
        let (name, given) = (self.name.clone(), std::mem::replace(&mut self.operands, operands));
        self.builder.name = format!("{name}/real");
        let results = operator(self);
        self.builder.name = name;
        self.operands = given;
        match results?.first() {
            Some(Value::Tensor(id)) => Ok(*id),
            Some(_) | None => Err("gives no tensor of numbers".into()),
        }
    }

    /// Numbers on the grid that two operands say, as this node's result.
    pub(super) fn put_on_grid(&mut self, y: NodeId, scale: usize, zero: usize) -> Results {
        let (grid, limits) = (self.grid(scale, zero, 1)?, self.grid_limits(zero)?);
        self.composed(|c| compose::on_grid(c, y, grid, limits))
    }
}

pub(super) fn quantize(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let grid = node.grid(1, 2, node.attr_int("axis", 1)?)?;
    let asked =
        i32::try_from(node.attr_int("output_dtype", 0)?).ok().and_then(|t| DataType::try_from(t).ok());
    let limits = match asked {
        Some(dtype) if dtype != DataType::Undefined => {
            limits(dtype).ok_or_else(|| format!("puts numbers on a grid of the type {dtype:?}"))?
        }
        Some(_) | None => node.grid_limits(2)?,
    };
    node.composed(|c| compose::on_grid(c, x, grid, limits))
}

pub(super) fn dequantize(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let grid = node.grid(1, 2, node.attr_int("axis", 1)?)?;
    node.composed(|c| compose::off_grid(c, x, grid))
}

/// A grid that follows from the numbers: they stand for themselves, in steps of one from zero.
fn dynamic(node: &mut Node<'_>) -> Results {
    if node.message.opened.contains(&true) {
        return Err("shows a grid that follows from an input, or integers on it, which are not there: what is computed \
                    with them is computed with the numbers that they stand for. End the model behind that, with --output NAME"
            .into());
    }
    let x = node.operand(0)?.clone();
    let one = Value::Tensor(node.add_number("step", 1.0));
    let zero = Value::Tensor(node.add_number("zero", 0.0));
    Ok(vec![x, one, zero])
}

fn q_conv(node: &mut Node<'_>) -> Results {
    let mut operands = vec![node.real(0, 1)?, node.real(3, 0)?];
    if node.has(8) {
        // In steps of the product of both grids.
        let steps = [node.tensor(1)?, node.tensor(4)?];
        let bias = node.tensor(8)?;
        let name = format!("{}/bias", node.name);
        let c = &mut node.under(name);
        let steps = c.add_numbered(Arithmetic::Mul, &steps)?;
        let bias = c.add_numbered(Arithmetic::Mul, &[bias, steps])?;
        let n = c.shape(bias).iter().product();
        operands.push(Value::Tensor(c.reshape(vec![n], bias)?));
    }
    let y = node.of_floats(operands, conv)?;
    node.put_on_grid(y, 6, 7)
}

fn q_mat_mul(node: &mut Node<'_>) -> Results {
    // A grid for each row of the one, and for each column of the other.
    let operands = vec![node.real(0, -2)?, node.real(3, -1)?];
    let y = node.of_floats(operands, mat_mul)?;
    node.put_on_grid(y, 6, 7)
}

/// Operands 0 and 1 as numbers in steps of one, from the zeros that operands 2 and 3 say.
fn from_zeros(node: &mut Node<'_>, axes: [i64; 2]) -> Result<Vec<Value>, Fault> {
    let one = node.add_constant("step", Array::scalar(1.0));
    let mut numbers = Vec::new();
    for (i, axis) in axes.into_iter().enumerate() {
        let x = node.tensor(i)?;
        let zero = if node.has(i + 2) { Some(node.tensor(i + 2)?) } else { None };
        let name = format!("{}/real_{i}", node.name);
        let grid = Grid { scale: one, zero, axis };
        numbers.push(Value::Tensor(compose::off_grid(&mut node.under(name), x, grid)?));
    }
    Ok(numbers)
}

fn conv_integer(node: &mut Node<'_>) -> Results {
    let operands = from_zeros(node, [1, 0])?;
    let y = node.of_floats(operands, conv)?;
    node.composed(|_| Ok(y))
}

fn mat_mul_integer(node: &mut Node<'_>) -> Results {
    let operands = from_zeros(node, [-2, -1])?;
    let y = node.of_floats(operands, mat_mul)?;
    node.composed(|_| Ok(y))
}
