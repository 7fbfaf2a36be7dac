//! ONNX's operators: for each family a file with a table from names to functions, and what the functions share.

mod arithmetic;
mod attributes;
mod convolution;
mod einsum;
mod gather;
mod movement;
mod normalisation;
mod operands;
mod pad;
mod pass;
mod pooling;
mod product;
mod recurrent;
mod reduction;
mod refused;
mod resize;
mod static_shape;
mod window;

use cryptflow_ring::Movement;

use super::external::Folder;
use super::messages::{DataType, NodeProto};
use crate::docs::Doc;
use crate::room::Room;
use crate::value::{Fault, Ints, fits};
use cryptflow_graph::{Array, Graph, NodeId, Op};

pub(super) use refused::advice;

/// What a result of a node is while importing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A node of the graph, possibly a constant: floats, or integers and flags as floats.
    Tensor(NodeId),
    /// Integers and flags that are known: shapes, axes and the like.
    Int(Ints),
    /// A constant that nothing can compute on (strings): its type.
    Opaque(String),
    /// An operand that is left out.
    Absent,
    /// The result of a node that could not be imported.
    Unknown,
}

impl Value {
    /// The integers that it is, where it is integers.
    pub(super) fn ints(&self) -> Option<&Ints> {
        match self {
            Value::Int(ints) => Some(ints),
            _ => None,
        }
    }
}

/// What the elements of a tensor are in the model; all are floats in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Integer,
    Flag,
}

type Results = Result<Vec<Value>, Fault>;
type Import = fn(&mut Node<'_>) -> Results;
/// A name, what imports it, and what the page of operations says of it.
type Row = (&'static str, Import, Doc);
type Table = &'static [Row];

/// The function that imports an operator.
pub(super) fn lookup(op: &str) -> Option<Import> {
    entries().find(|(name, ..)| *name == op).map(|(_, import, _)| import)
}

/// The names of all operations, with what is said of them.
pub(crate) fn operations() -> impl Iterator<Item = (&'static str, Doc)> {
    entries().map(|(name, _, doc)| (name, doc))
}

fn entries() -> impl Iterator<Item = Row> {
    const TABLES: &[Table] = &[
        pass::TABLE,
        convolution::TABLE,
        product::TABLE,
        normalisation::TABLE,
        arithmetic::TABLE,
        pooling::TABLE,
        reduction::TABLE,
        recurrent::TABLE,
        movement::TABLE,
        pad::TABLE,
        einsum::TABLE,
        gather::TABLE,
        resize::TABLE,
        static_shape::TABLE,
    ];
    TABLES.iter().flat_map(|table| table.iter()).copied().chain(arithmetic::functions())
}

/// Whether a domain is ONNX's own.
pub(super) fn is_onnx(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// What the elements of a node's result are.
pub(super) fn kind_of(node: &NodeProto, result: usize, operands: &[Kind]) -> Kind {
    let operand = |i: usize| operands.get(i).copied().unwrap_or(Kind::Float);
    match (node.op_type.as_str(), result) {
        ("Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual", _) => Kind::Flag,
        ("And" | "Or" | "Xor" | "Not" | "IsNaN" | "IsInf", _) | ("Dropout", 1) => Kind::Flag,
        ("ArgMax" | "ArgMin" | "Shape" | "Size", _) | ("TopK", 1) => Kind::Integer,
        ("Where" | "CastLike", _) => operand(1),
        ("OneHot", _) => operand(2),
        ("Cast", _) => {
            let to = node.attribute.iter().find(|a| a.name == "to").and_then(|a| i32::try_from(a.i).ok());
            match to.and_then(|t| DataType::try_from(t).ok()) {
                Some(DataType::Bool) => Kind::Flag,
                Some(t) if t.is_integer() => Kind::Integer,
                _ => Kind::Float,
            }
        }
        _ => operand(0),
    }
}

/// A node while it is imported: its message, its operands, the graph that takes its results.
pub(super) struct Node<'a> {
    pub(super) def: &'a NodeProto,
    /// The name of its first result.
    pub(super) name: String,
    pub(super) operands: Vec<Value>,
    /// What the elements of the operands are.
    pub(super) kinds: Vec<Kind>,
    /// For each result, whether anything uses it.
    pub(super) wanted: Vec<bool>,
    pub(super) graph: &'a mut Graph,
    pub(super) room: &'a mut Room,
    pub(super) opset: i64,
    pub(super) folder: &'a Folder,
}

impl Node<'_> {
    /// Adds the operation that gives this node's first result, under its name.
    fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId, Fault> {
        self.add_as(self.name.clone(), op, inputs)
    }

    /// The operation that gives this node's only result.
    fn result(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Results {
        Ok(vec![Value::Tensor(self.add(op, inputs)?)])
    }

    /// Adds an operation on the way to this node's result.
    fn part(&mut self, part: &str, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId, Fault> {
        self.add_as(format!("{}/{part}", self.name), op, inputs)
    }

    /// Where all operands are constants, so is the result: it is computed at once.
    fn add_as(&mut self, name: String, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId, Fault> {
        let op = op.into();
        let shapes: Vec<&[usize]> = inputs.iter().map(|&i| self.graph.node(i).shape.as_slice()).collect();
        let shape = op.shape(&shapes)?;
        let elements = fits(&shape)?;
        let constants: Option<Vec<&Array>> = inputs.iter().map(|&i| self.graph.constant(i)).collect();
        if let Some(constants) = constants
            && !inputs.is_empty()
        {
            self.room.compute(&op, &shapes, elements)?;
            let value = op.evaluate(&constants)?;
            return Ok(self.graph.add_constant(name, value));
        }
        Ok(self.graph.push(cryptflow_graph::Node { name, op, inputs: inputs.to_vec(), shape }))
    }

    /// The name of a result: the first one's is the node's.
    fn result_name(&self, i: usize) -> String {
        match (i, self.def.output.get(i).filter(|o| !o.is_empty())) {
            (1.., Some(output)) => output.clone(),
            (1.., None) => format!("{}/{i}", self.name),
            (0, _) => self.name.clone(),
        }
    }

    /// Whether anything uses a result.
    fn is_wanted(&self, i: usize) -> bool {
        self.wanted.get(i).copied().unwrap_or(false)
    }

    /// Adds a constant that belongs to this node.
    fn constant(&mut self, part: &str, value: Array) -> NodeId {
        self.graph.add_constant(format!("{}/{part}", self.name), value)
    }

    /// Adds a number that belongs to this node.
    fn number(&mut self, part: &str, value: f32) -> NodeId {
        self.constant(part, Array::scalar(value))
    }

    /// Moves elements, step after step: of floats or of integers. The last step has the node's name.
    fn moved(&mut self, value: &Value, steps: impl IntoIterator<Item = Movement>) -> Result<Value, Fault> {
        let name = self.name.clone();
        self.moved_as(name, value, steps)
    }

    fn moved_as(
        &mut self,
        name: String,
        value: &Value,
        steps: impl IntoIterator<Item = Movement>,
    ) -> Result<Value, Fault> {
        let mut steps = steps.into_iter().enumerate().peekable();
        let mut value = value.clone();
        while let Some((i, step)) = steps.next() {
            value = match &value {
                Value::Tensor(id) => {
                    let op = Op::Movement(step);
                    let name = match steps.peek() {
                        None => name.clone(),
                        Some(_) => format!("{name}/{}_{i}", op.name()),
                    };
                    Value::Tensor(self.add_as(name, op, &[*id])?)
                }
                Value::Int(ints) => Value::Int(ints.moved(&step, &[])?),
                Value::Opaque(dtype) => return Err(opaque(dtype)),
                Value::Absent => return Err("lacks an operand: the file is damaged".into()),
                Value::Unknown => return Err(Fault::Unknown),
            };
        }
        Ok(value)
    }

    /// A movement on the way to this node's result.
    fn moved_part(&mut self, part: &str, movement: Movement, id: NodeId) -> Result<NodeId, Fault> {
        self.part(part, movement, &[id])
    }
}

fn opaque(dtype: &str) -> Fault {
    Fault::Unsupported(format!("has elements of the type {dtype}, on which nothing can be computed here"))
}
