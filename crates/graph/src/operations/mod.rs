//! The operations of a [`Graph`](crate::Graph): for each family a file with the shape rule and the float evaluation
//! side by side. Floats are computed as TensorFlow computes them, in f32.

mod activation;
mod arithmetic;
mod function;
mod gemm;
mod linear;
mod order;
mod pool;
mod reduce;
mod shape;

use cryptflow_ring::{GeometryError, Movement};

pub use arithmetic::Comparison;
pub use arithmetic::broadcast;
pub use function::Function;
pub use linear::normalisation;
pub use pool::{sees_elements, uniform_count};

use crate::graph::{Array, Op};

/// Why an operation cannot be applied to its operands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// The wrong number of operands.
    #[error("{op} needs {expected} operand(s), not {given}")]
    Operands {
        /// The operation.
        op: &'static str,
        /// How many it takes.
        expected: &'static str,
        /// How many there are.
        given: usize,
    },
    /// Shapes that do not go together.
    #[error("{op}: {reason}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// A window, or a size, that is impossible.
    #[error("{op}: {source}")]
    Geometry {
        /// The operation.
        op: &'static str,
        /// What is wrong.
        source: GeometryError,
    },
    /// An array whose number of elements is not its shape's.
    #[error("the shape {shape:?} does not have {given} elements")]
    Elements {
        /// The shape.
        shape: Vec<usize>,
        /// The elements there are.
        given: usize,
    },
    /// A placeholder was evaluated: its value comes from outside.
    #[error("a placeholder has no rule: its shape and value are given from outside")]
    Placeholder,
}

impl OpError {
    /// A shape error with its reason.
    fn shape(op: &'static str, reason: impl Into<String>) -> OpError {
        OpError::Shape { op, reason: reason.into() }
    }
}

impl Op {
    /// The operation's name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "input",
            Op::Constant(_) => "constant",
            Op::Conv2d { .. } => "conv",
            Op::MatMul { .. } => "matmul",
            Op::BatchNorm { .. } => "batch norm",
            Op::Scale => "scale",
            Op::Add => "add",
            Op::Sub => "sub",
            Op::Mul => "mul",
            Op::Div => "div",
            Op::Maximum => "maximum",
            Op::Minimum => "minimum",
            Op::Compare(comparison) => comparison.name(),
            Op::Select => "select",
            Op::Function(function) => function.name(),
            Op::Relu => "relu",
            Op::ClippedRelu { .. } => "clipped relu",
            Op::Softmax => "softmax",
            Op::MaxPool { .. } => "max pool",
            Op::AvgPool { .. } => "average pool",
            Op::SumPool { .. } => "sum pool",
            Op::Mean { .. } => "mean",
            Op::Sum { .. } => "sum",
            Op::Max { .. } => "max",
            Op::Min { .. } => "min",
            Op::ArgMax { .. } => "arg max",
            Op::TopK { .. } => "top k",
            Op::Movement(Movement::Reshape { .. }) => "reshape",
            Op::Movement(Movement::Transpose { .. }) => "transpose",
            Op::Movement(Movement::Pad { .. }) => "pad",
            Op::Movement(Movement::Slice { .. }) => "slice",
            Op::Movement(Movement::Concat { .. }) => "concat",
            Op::Movement(Movement::Broadcast { .. }) => "broadcast",
            Op::Movement(Movement::Gather { .. }) => "gather",
            Op::Identity => "identity",
        }
    }

    /// The shape of the result for operands of these shapes, or what does not fit.
    pub fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
        match self {
            Op::Input => Err(OpError::Placeholder),
            Op::Constant(array) => {
                let [] = operands(self, "no", inputs)?;
                Ok(array.shape.clone())
            }
            Op::Conv2d { .. } | Op::MatMul { .. } | Op::BatchNorm { .. } | Op::Scale => {
                linear::shape(self, inputs)
            }
            Op::Add
            | Op::Sub
            | Op::Mul
            | Op::Div
            | Op::Maximum
            | Op::Minimum
            | Op::Compare(_)
            | Op::Select => arithmetic::shape(self, inputs),
            Op::Function(_) => function::shape(self, inputs),
            Op::Relu | Op::ClippedRelu { .. } | Op::Softmax | Op::Identity => activation::shape(self, inputs),
            Op::MaxPool { .. } | Op::AvgPool { .. } | Op::SumPool { .. } => pool::shape(self, inputs),
            Op::Mean { .. } | Op::Sum { .. } | Op::Max { .. } | Op::Min { .. } => reduce::shape(self, inputs),
            Op::ArgMax { .. } | Op::TopK { .. } => order::shape(self, inputs),
            Op::Movement(movement) => shape::shape(self, movement, inputs),
        }
    }

    /// The result on these operands, in f32 as TensorFlow computes it.
    pub fn evaluate(&self, inputs: &[&Array]) -> Result<Array, OpError> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|a| a.shape.as_slice()).collect();
        let result = self.shape(&shapes)?;
        match self {
            Op::Input => Err(OpError::Placeholder),
            Op::Constant(array) => Ok(array.clone()),
            Op::Conv2d { .. } | Op::MatMul { .. } | Op::BatchNorm { .. } | Op::Scale => {
                linear::evaluate(self, inputs, result)
            }
            Op::Add
            | Op::Sub
            | Op::Mul
            | Op::Div
            | Op::Maximum
            | Op::Minimum
            | Op::Compare(_)
            | Op::Select => arithmetic::evaluate(self, inputs, result),
            Op::Function(function) => function::evaluate(self, *function, inputs),
            Op::Relu | Op::ClippedRelu { .. } | Op::Softmax | Op::Identity => {
                activation::evaluate(self, inputs)
            }
            Op::MaxPool { .. } | Op::AvgPool { .. } | Op::SumPool { .. } => {
                pool::evaluate(self, inputs, result)
            }
            Op::Mean { .. } | Op::Sum { .. } | Op::Max { .. } | Op::Min { .. } => {
                reduce::evaluate(self, inputs, result)
            }
            Op::ArgMax { .. } | Op::TopK { .. } => order::evaluate(self, inputs, result),
            Op::Movement(movement) => shape::evaluate(self, movement, inputs, result),
        }
    }
}

/// Exactly `N` operands, or an error that says so.
fn operands<'a, T: ?Sized, const N: usize>(
    op: &Op,
    expected: &'static str,
    given: &[&'a T],
) -> Result<[&'a T; N], OpError> {
    <[&'a T; N]>::try_from(given).map_err(|_| OpError::Operands {
        op: op.name(),
        expected,
        given: given.len(),
    })
}

/// The four axes of an NHWC tensor.
fn nhwc(op: &Op, shape: &[usize]) -> Result<[usize; 4], OpError> {
    <[usize; 4]>::try_from(shape).map_err(|_| {
        OpError::shape(
            op.name(),
            format!("the operand must have the four axes [batch, height, width, channels], not {shape:?}"),
        )
    })
}
