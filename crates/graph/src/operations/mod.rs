//! The operations of a [`Graph`](crate::Graph): for each family a file with all that is true of it
//! without fixed point: its name, its shape rule, its float evaluation (as TensorFlow computes it,
//! in f32), the work that this is, the ranges of its results, and what it is before a transpose.
//! How a family becomes steps of a program is in the file of the same name among the lowerings
//! (`fix/planned/lower/` of the compiler): a graph knows no fixed point.

mod activation;
pub(crate) mod arithmetic;
mod function;
pub(crate) mod linear;
mod movement;
pub(crate) mod order;
pub(crate) mod pool;
mod reduce;
mod transposed;

use cryptflow_ring::{GeometryError, Movement};

pub use activation::Activation;
pub use arithmetic::{Arithmetic, Comparison, ENDLESS, broadcast};
pub use function::{Break, Breaks, Domain, End, Entry, Function, Parameter, catalogue};
pub use linear::{Linear, normalisation};
pub use order::Order;
pub use pool::{Pool, Pooling, sees_elements, uniform_count};
pub use reduce::{Reduce, Reduction};

pub use transposed::{BeforeTranspose, Moved};

use crate::graph::Array;
use crate::range::Range;
use crate::ranges::Operands;

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

/// An operation of a graph after import. Importers translate what they read into these;
/// multi-output nodes of the source become one node for each result that is used. Shapes and
/// attributes are static, padding is explicit.
///
/// Each family is a type of its own, in a file of its own, which holds all that is true of its
/// operations.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A placeholder.
    Input,
    /// A constant: a weight, or an attribute in the shape of a tensor.
    Constant(Array),
    /// The operand itself (Identity, StopGradient, Dropout in inference, …); the passes remove it.
    Identity,
    /// A linear layer.
    Linear(Linear),
    /// Arithmetic or comparison of two tensors, or the choice between two.
    Arithmetic(Arithmetic),
    /// A function of one number, element by element.
    Function(Function),
    /// An activation that the protocols know.
    Activation(Activation),
    /// A pooling.
    Pool(Pool),
    /// A reduction over axes.
    Reduce(Reduce),
    /// Arg-max, top-k, or ids as one-hot rows.
    Order(Order),
    /// A movement of elements: reshape, transpose, pad, slice, concatenation, broadcast.
    Movement(Movement),
}

/// Each family converts into the operation that it is.
macro_rules! from_families {
    ($($family:ident),*) => {
        $(impl From<$family> for Op {
            fn from(operation: $family) -> Op {
                Op::$family(operation)
            }
        })*
    };
}

from_families!(Linear, Arithmetic, Function, Activation, Pool, Reduce, Order, Movement);

impl Op {
    /// The operation's name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "input",
            Op::Constant(_) => "constant",
            Op::Identity => "identity",
            Op::Linear(linear) => linear.name(),
            Op::Arithmetic(arithmetic) => arithmetic.name(),
            Op::Function(function) => function.name(),
            Op::Activation(activation) => activation.name(),
            Op::Pool(pool) => pool.name(),
            Op::Reduce(reduce) => reduce.name(),
            Op::Order(order) => order.name(),
            Op::Movement(movement) => movement.name(),
        }
    }

    /// The shape of the result for operands of these shapes, or what does not fit.
    pub fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
        match self {
            Op::Input => Err(OpError::Placeholder),
            Op::Constant(array) => {
                let [] = operands(self.name(), "no", inputs)?;
                Ok(array.shape.clone())
            }
            Op::Identity => {
                let [x] = operands(self.name(), "one", inputs)?;
                Ok(x.to_vec())
            }
            Op::Linear(linear) => linear.shape(inputs),
            Op::Arithmetic(arithmetic) => arithmetic.shape(inputs),
            Op::Function(function) => function.shape(inputs),
            Op::Activation(activation) => activation.shape(inputs),
            Op::Pool(pool) => pool.shape(inputs),
            Op::Reduce(reduce) => reduce.shape(inputs),
            Op::Order(order) => order.shape(inputs),
            Op::Movement(movement) => movement::shape(movement, inputs),
        }
    }

    /// The result on these operands, in f32 as TensorFlow computes it.
    pub fn evaluate(&self, inputs: &[&Array]) -> Result<Array, OpError> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|a| a.shape.as_slice()).collect();
        let result = self.shape(&shapes)?;
        match self {
            Op::Input => Err(OpError::Placeholder),
            Op::Constant(array) => Ok(array.clone()),
            Op::Identity => {
                let [x] = operands(self.name(), "one", inputs)?;
                Ok(x.clone())
            }
            Op::Linear(linear) => linear.evaluate(inputs, result),
            Op::Arithmetic(arithmetic) => arithmetic.evaluate(inputs, result),
            Op::Function(function) => function.evaluate(inputs),
            Op::Activation(activation) => activation.evaluate(inputs, result),
            Op::Pool(pool) => pool.evaluate(inputs, result),
            Op::Reduce(reduce) => reduce.evaluate(inputs, result),
            Op::Order(order) => order.evaluate(inputs, result),
            Op::Movement(movement) => movement::evaluate(movement, inputs, result),
        }
    }

    /// The multiplications, roughly, that one element of a result takes which has so many, of
    /// operands of these shapes.
    pub fn work(&self, inputs: &[&[usize]], elements: usize) -> usize {
        match self {
            Op::Linear(linear) => linear.work(inputs, elements),
            Op::Pool(pool) => pool.window.kernel.iter().product(),
            Op::Input | Op::Constant(_) | Op::Identity => 1,
            Op::Arithmetic(_) | Op::Function(_) | Op::Activation(_) => 1,
            Op::Reduce(_) | Op::Order(_) | Op::Movement(_) => 1,
        }
    }

    /// What the result may be where the operands are within these ranges. `same`: the first two are
    /// one value.
    pub(crate) fn image(&self, operands: &[Range], same: bool) -> Range {
        let [a, b] = [0, 1].map(|i| operands.get(i).copied().unwrap_or(Range::ALL));
        let image = match self {
            Op::Input => Range::ALL,
            Op::Linear(linear) => linear.image(operands),
            Op::Constant(array) => {
                let range = array.data.iter().fold(Range::EMPTY, |r, &v| r.union(Range::point(v.into())));
                if range.low <= range.high { range } else { Range::ALL }
            }
            Op::Identity => a,
            Op::Arithmetic(arithmetic) => arithmetic.image([a, b], operands, same),
            Op::Function(function) => function.image(a),
            Op::Activation(activation) => activation.image(a),
            Op::Pool(pool) => pool.image(a),
            Op::Reduce(reduce) => reduce.image(a),
            Op::Order(order) => order.image(a),
            Op::Movement(movement) => movement::image(movement, operands),
        };
        if image.low.is_nan() || image.high.is_nan() { Range::ALL } else { image }
    }

    /// The range of each channel of the result for those of the operands, in rounded numbers.
    pub(crate) fn interval(&self, given: &Operands<'_>) -> Vec<Range> {
        match self {
            Op::Input | Op::Constant(_) => given.nothing(),
            Op::Identity => given.first().to_vec(),
            Op::Linear(linear) => linear.interval(given),
            Op::Arithmetic(arithmetic) => arithmetic.interval(given),
            Op::Function(function) => function.interval(given),
            Op::Activation(activation) => activation.interval(given),
            Op::Pool(pool) => pool.interval(given),
            Op::Reduce(reduce) => reduce.interval(given),
            Op::Order(order) => order.interval(given),
            Op::Movement(movement) => movement::interval(movement, given),
        }
    }

    /// The operation that gives the same elements before a transpose with this permutation, where
    /// operands come from one; `rank` is that of the result. Nothing where there is none.
    pub fn before_transpose(&self, permutation: &[usize], rank: usize) -> Option<BeforeTranspose> {
        match self {
            Op::Input | Op::Constant(_) | Op::Identity => None,
            Op::Linear(linear) => linear.before_transpose(permutation),
            Op::Arithmetic(_) if rank != permutation.len() => None,
            Op::Arithmetic(_) => {
                Some(BeforeTranspose::new(self.clone(), Moved::All { broadcast: true }, permutation))
            }
            Op::Function(_) => Some(BeforeTranspose::of_first(self.clone(), permutation)),
            Op::Activation(activation) => activation.before_transpose(permutation),
            // Windows lie along the axes of pictures, which a transpose exchanges.
            Op::Pool(_) => None,
            Op::Reduce(reduce) => reduce.before_transpose(permutation),
            Op::Order(order) => order.before_transpose(permutation),
            Op::Movement(movement) => movement::before_transpose(movement, permutation),
        }
    }
}

/// Exactly `N` operands, or an error that says so.
pub(crate) fn operands<'a, T: ?Sized, const N: usize>(
    op: &'static str,
    expected: &'static str,
    given: &[&'a T],
) -> Result<[&'a T; N], OpError> {
    <[&'a T; N]>::try_from(given).map_err(|_| OpError::Operands { op, expected, given: given.len() })
}

/// The four axes of an NHWC tensor.
pub(crate) fn nhwc(op: &'static str, shape: &[usize]) -> Result<[usize; 4], OpError> {
    <[usize; 4]>::try_from(shape).map_err(|_| {
        OpError::shape(
            op,
            format!("the operand must have the four axes [batch, height, width, channels], not {shape:?}"),
        )
    })
}
