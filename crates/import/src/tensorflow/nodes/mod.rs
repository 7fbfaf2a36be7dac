//! TensorFlow's operations: for each family a file with a table from names to functions, and what the functions share.

mod arithmetic;
mod blocks;
mod convolution;
mod division;
mod element;
mod gather;
mod movement;
mod neuron;
mod pass;
mod pooling;
mod product;
mod reduction;
mod refused;
mod resize;
mod slice;
mod static_shape;
mod window;

use cryptflow_ring::Movement;

use super::messages::{Attr, DataType, NodeDef};
use super::tensor::{Ints, MAX_ELEMENTS};
use crate::docs::Doc;
use crate::room::Room;
pub(super) use crate::value::Fault;
use cryptflow_graph::{Array, Graph, NodeId, Op};

pub(super) use refused::{advice, function_call};

/// What a result of a node is while importing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Floats: a node of the graph, possibly a constant.
    Tensor(NodeId),
    /// Integers that are known: shapes, axes and the like.
    Int(Ints),
    /// A constant that nothing can compute on (strings).
    Opaque(DataType),
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

type Results = Result<Vec<Value>, Fault>;
type Import = fn(&mut Node<'_>) -> Results;
/// A name, what imports it, and what the page of operations says of it.
type Row = (&'static str, Import, Doc);
type Table = &'static [Row];

/// The function that imports an operation.
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
        neuron::TABLE,
        arithmetic::TABLE,
        division::TABLE,
        pooling::TABLE,
        reduction::TABLE,
        movement::TABLE,
        static_shape::TABLE,
        element::TABLE,
        product::TABLE,
        resize::TABLE,
        gather::TABLE,
    ];
    TABLES.iter().flat_map(|table| table.iter()).copied().chain(element::functions())
}

/// A node while it is imported: its message, its operands, the graph that takes its results.
pub(super) struct Node<'a> {
    pub(super) def: &'a NodeDef,
    pub(super) operands: Vec<Value>,
    pub(super) graph: &'a mut Graph,
    pub(super) batch: Option<usize>,
    pub(super) room: &'a mut Room,
}

impl Node<'_> {
    // Operands.

    /// An operand, whatever it is; an unknown one ends the import of this node.
    fn operand(&self, i: usize) -> Result<&Value, Fault> {
        match self.operands.get(i) {
            Some(Value::Unknown) => Err(Fault::Unknown),
            Some(value) => Ok(value),
            None => Err(Fault::Unsupported(format!(
                "has {} operands, but operand {i} is needed: the file is damaged",
                self.operands.len()
            ))),
        }
    }

    /// A float operand.
    fn tensor(&self, i: usize) -> Result<NodeId, Fault> {
        match self.operand(i)? {
            Value::Tensor(id) => Ok(*id),
            Value::Int(_) => Err(format!(
                "operand {i} is known integers, and this operation computes on floats. Cast it \
                     to floats first"
            )
            .into()),
            Value::Opaque(dtype) => Err(format!("operand {i} has elements of the type {dtype:?}").into()),
            Value::Unknown => Err(Fault::Unknown),
        }
    }

    /// An operand that must be known when importing: integers.
    fn ints(&self, i: usize) -> Result<&Ints, Fault> {
        match self.operand(i)? {
            Value::Int(ints) => Ok(ints),
            _ => Err(format!(
                "operand {i} must be integers that are known when compiling (a constant, or computed from shapes). If it is an input of \
                 the model, make it a constant: it cannot stay secret"
            )
            .into()),
        }
    }

    /// A single known integer.
    fn int(&self, i: usize) -> Result<i64, Fault> {
        match self.ints(i)?.data.as_slice() {
            [value] => Ok(*value),
            values => Err(format!("operand {i} must be one integer, not {}", values.len()).into()),
        }
    }

    /// Known lengths: none of them negative.
    fn lengths(&self, i: usize) -> Result<Vec<usize>, Fault> {
        let ints = self.ints(i)?;
        let lengths = ints.data.iter().map(|&v| usize::try_from(v).ok().filter(|&v| v <= MAX_ELEMENTS));
        lengths
            .collect::<Option<_>>()
            .ok_or_else(|| Fault::Unsupported(format!("operand {i} has impossible lengths: {:?}", ints.data)))
    }

    /// The constant that an operand is, if it is one.
    fn constant_of(&self, id: NodeId) -> Option<&Array> {
        self.graph.constant(id)
    }

    fn shape(&self, id: NodeId) -> &[usize] {
        &self.graph.node(id).shape
    }

    // Attributes.

    fn attr(&self, name: &str) -> Option<&Attr> {
        self.def.attr.get(name).and_then(|a| a.value.as_ref())
    }

    fn wrong(name: &str) -> Fault {
        Fault::Unsupported(format!(
            "the attribute {name:?} has another type than expected: the file is damaged"
        ))
    }

    fn attr_bool(&self, name: &str, default: bool) -> Result<bool, Fault> {
        match self.attr(name) {
            None => Ok(default),
            Some(Attr::B(value)) => Ok(*value),
            Some(_) => Err(Self::wrong(name)),
        }
    }

    fn attr_int(&self, name: &str, default: i64) -> Result<i64, Fault> {
        match self.attr(name) {
            None => Ok(default),
            Some(Attr::I(value)) => Ok(*value),
            Some(_) => Err(Self::wrong(name)),
        }
    }

    fn attr_float(&self, name: &str, default: f32) -> Result<f32, Fault> {
        match self.attr(name) {
            None => Ok(default),
            Some(Attr::F(value)) => Ok(*value),
            Some(_) => Err(Self::wrong(name)),
        }
    }

    fn attr_str(&self, name: &str, default: &'static str) -> Result<&str, Fault> {
        match self.attr(name) {
            None => Ok(default),
            Some(Attr::S(value)) => std::str::from_utf8(value).map_err(|_| Self::wrong(name)),
            Some(_) => Err(Self::wrong(name)),
        }
    }

    fn attr_ints(&self, name: &str) -> Result<Vec<i64>, Fault> {
        match self.attr(name) {
            None => Ok(Vec::new()),
            Some(Attr::List(list)) => Ok(list.i.clone()),
            Some(_) => Err(Self::wrong(name)),
        }
    }

    fn attr_type(&self, name: &str) -> Result<DataType, Fault> {
        match self.attr(name) {
            Some(Attr::Type(value)) => DataType::try_from(*value).map_err(|_| Self::wrong(name)),
            _ => Err(Self::wrong(name)),
        }
    }

    /// An axis of a tensor of this rank; negative ones count from the end.
    fn axis(&self, axis: i64, rank: usize) -> Result<usize, Fault> {
        crate::value::axis(axis, rank)
    }

    // Results.

    /// Adds the operation that gives this node's result, under this node's name.
    fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId, Fault> {
        self.add_as(self.def.name.clone(), op, inputs)
    }

    /// Adds an operation on the way to this node's result.
    fn add_part(&mut self, part: &str, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId, Fault> {
        self.add_as(format!("{}/{part}", self.def.name), op, inputs)
    }

    /// Where all operands are constants, so is the result: it is computed at once.
    fn add_as(&mut self, name: String, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId, Fault> {
        let op = op.into();
        let shapes: Vec<&[usize]> = inputs.iter().map(|&i| self.graph.node(i).shape.as_slice()).collect();
        let shape = op.shape(&shapes)?;
        if cryptflow_ring::movement::elements(&shape).map_or(true, |n| n > MAX_ELEMENTS) {
            return Err(format!("its result of the shape {shape:?} is too large").into());
        }
        let constants: Option<Vec<&Array>> = inputs.iter().map(|&i| self.graph.constant(i)).collect();
        if let Some(constants) = constants
            && !inputs.is_empty()
        {
            self.room.compute(&op, &shapes, shape.iter().product())?;
            let value = op.evaluate(&constants)?;
            return Ok(self.graph.add_constant(name, value));
        }
        Ok(self.graph.push(cryptflow_graph::Node { name, op, inputs: inputs.to_vec(), shape }))
    }

    /// Adds a constant that belongs to this node.
    fn add_constant(&mut self, part: &str, value: Array) -> NodeId {
        self.graph.add_constant(format!("{}/{part}", self.def.name), value)
    }

    /// Makes constants of the graph of all operands that are known integers.
    fn integers_to_floats(&mut self) -> Result<(), Fault> {
        for i in 0..self.operands.len() {
            if let Value::Int(ints) = &self.operands[i] {
                let data = ints.data.iter().map(|&v| v as f32).collect();
                let array = Array::new(ints.shape.clone(), data)?;
                self.operands[i] = Value::Tensor(self.add_constant(&format!("operand_{i}"), array));
            }
        }
        Ok(())
    }

    /// Moves the elements of floats or of integers.
    fn moved(&mut self, movement: Movement, value: &Value) -> Result<Value, Fault> {
        match value {
            Value::Tensor(id) => Ok(Value::Tensor(self.add(movement, &[*id])?)),
            Value::Int(ints) => Ok(Value::Int(ints.moved(&movement, &[])?)),
            Value::Opaque(dtype) => Err(format!("the operand has elements of the type {dtype:?}").into()),
            Value::Unknown => Err(Fault::Unknown),
        }
    }

    /// The shape of floats or of integers.
    fn shape_of(&self, value: &Value) -> Result<Vec<usize>, Fault> {
        match value {
            Value::Tensor(id) => Ok(self.shape(*id).to_vec()),
            Value::Int(ints) => Ok(ints.shape.clone()),
            Value::Opaque(dtype) => Err(format!("the operand has elements of the type {dtype:?}").into()),
            Value::Unknown => Err(Fault::Unknown),
        }
    }
}
