//! ONNX's operators: for each family a file with a table from names to functions, and what the
//! functions share.

mod arithmetic;
mod attributes;
mod convolution;
mod einsum;
mod gather;
mod movement;
mod normalisation;
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

use super::external::Folder;
use super::messages::{DataType, NodeProto};
use crate::docs::{self as doc, Doc};
use crate::node::{self, Results, Value};
use cryptflow_graph::Function;
use cryptflow_graph::operations::catalogue;

pub(super) use refused::advice;

/// What the elements of a tensor are in the model; all are floats in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Integer,
    Flag,
}

/// A name of an operator, what imports it, what its results' elements are, and what the page of
/// operations says of it.
#[derive(Clone, Copy)]
pub(super) struct Row {
    name: &'static str,
    import: Import,
    gives: Gives,
    doc: Doc,
}

/// What imports an operator.
#[derive(Clone, Copy)]
enum Import {
    Operator(fn(&mut Node<'_>) -> Results),
    /// A function of the catalogue.
    Function(Function),
}

/// What the elements of a row's results are.
#[derive(Clone, Copy)]
enum Gives {
    /// All that the operand with this number has.
    Like(usize),
    /// Those of all results.
    All(Kind),
    /// The first result has what operand 0 has, and the others this.
    Second(Kind),
    /// What the attribute with this name says.
    Attribute(&'static str),
}

/// A row of a table. Its results' elements are those of operand 0.
const fn row(name: &'static str, import: fn(&mut Node<'_>) -> Results, doc: Doc) -> Row {
    Row { name, import: Import::Operator(import), gives: Gives::Like(0), doc }
}

/// The functions of the catalogue that ONNX has.
fn functions() -> impl Iterator<Item = Row> {
    let row =
        |f: Function, name| Row { name, import: Import::Function(f), gives: Gives::Like(0), doc: doc::of(f) };
    catalogue().flat_map(move |f| f.entry().onnx.iter().map(move |&name| row(f, name)))
}

impl Row {
    /// What a node becomes.
    pub(super) fn import(&self, node: &mut Node<'_>) -> Results {
        match self.import {
            Import::Operator(import) => import(node),
            Import::Function(function) => arithmetic::function(node, function),
        }
    }

    /// With results of these elements.
    const fn gives(self, gives: Gives) -> Row {
        Row { gives, ..self }
    }

    /// What the elements of a node's result are.
    pub(super) fn kind(&self, node: &NodeProto, result: usize, operands: &[Kind]) -> Kind {
        let operand = |i: usize| operands.get(i).copied().unwrap_or(Kind::Float);
        match self.gives {
            Gives::Like(i) => operand(i),
            Gives::All(kind) => kind,
            Gives::Second(_) if result == 0 => operand(0),
            Gives::Second(kind) => kind,
            Gives::Attribute(name) => {
                let to = node.attribute.iter().find(|a| a.name == name).map(|a| a.i);
                let to = to.and_then(|t| DataType::try_from(i32::try_from(t).ok()?).ok());
                to.and_then(Kind::of).unwrap_or(Kind::Float)
            }
        }
    }
}

impl Kind {
    /// What elements of a type are, where they are numbers.
    pub(super) fn of(dtype: DataType) -> Option<Kind> {
        match dtype {
            DataType::Bool => Some(Kind::Flag),
            t if t.is_integer() => Some(Kind::Integer),
            t if t.is_float() => Some(Kind::Float),
            _ => None,
        }
    }
}

/// The row of an operator.
pub(super) fn lookup(op: &str) -> Option<Row> {
    rows().find(|row| row.name == op)
}

/// The names of all operations, with what is said of them.
pub(crate) fn operations() -> impl Iterator<Item = (&'static str, Doc)> {
    rows().map(|row| (row.name, row.doc))
}

fn rows() -> impl Iterator<Item = Row> {
    const TABLES: &[&[Row]] = &[
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
    TABLES.iter().copied().flatten().copied().chain(functions())
}

/// Whether a domain is ONNX's own.
pub(super) fn is_onnx(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// What ONNX says of a node.
pub(super) struct Message<'a> {
    pub(super) def: &'a NodeProto,
    /// What the elements of the operands are.
    pub(super) kinds: Vec<Kind>,
    /// For each result, whether anything uses it.
    pub(super) wanted: Vec<bool>,
    pub(super) opset: i64,
    pub(super) folder: &'a Folder,
}

impl node::Message for Message<'_> {
    const ROUNDS_INTEGERS: bool = false;
}

/// A node while it is imported.
pub(super) type Node<'a> = node::Node<'a, Message<'a>>;

impl Node<'_> {
    /// What the elements of an operand are.
    fn kind(&self, i: usize) -> Kind {
        self.message.kinds.get(i).copied().unwrap_or(Kind::Float)
    }

    /// The name of a result: the first one's is the node's.
    fn result_name(&self, i: usize) -> String {
        match (i, self.message.def.output.get(i).filter(|o| !o.is_empty())) {
            (1.., Some(output)) => output.clone(),
            (1.., None) => format!("{}/{i}", self.name),
            (0, _) => self.name.clone(),
        }
    }

    /// Whether anything uses a result.
    fn is_wanted(&self, i: usize) -> bool {
        self.message.wanted.get(i).copied().unwrap_or(false)
    }
}
