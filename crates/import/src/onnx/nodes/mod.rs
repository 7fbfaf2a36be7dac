//! ONNX's operators: for each family a file with a table from names to functions, and what the
//! functions share.

mod arithmetic;
mod attention;
mod attributes;
mod convolution;
mod fourier;
mod fused;
mod gather;
mod heads;
mod microsoft;
mod ml;
mod movement;
mod normalisation;
mod pad;
mod pass;
mod pooling;
mod product;
mod quantised;
mod recurrent;
mod reduction;
mod refused;
mod resize;
mod sample;
mod static_shape;
mod window;

use super::external::Folder;
use super::messages::{DataType, NodeProto};
use crate::docs::Doc;
use crate::node::{self, Results, Value};
use crate::table::{self, Import};

pub(super) use refused::{ADVICE, foreign};

/// What the numbers of a tensor are in the model; all are floats in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Float,
    Integer,
    Flag,
}

/// A row of a table.
pub(crate) type Row = table::Row<fn(&mut Node<'_>) -> Results, Gives>;

/// What the numbers of a row's results are.
#[derive(Clone, Copy)]
pub(crate) enum Gives {
    /// What the operand with this number has.
    Like(usize),
    /// The same in all results.
    All(Number),
    /// The first result has what operand 0 has, and the others this.
    Second(Number),
    /// The first result has this, and the others are floats.
    First(Number),
    /// What the attribute with this name says.
    Attribute(&'static str),
}

/// A row of a table. The numbers of its results are those of operand 0.
const fn row(name: &'static str, import: fn(&mut Node<'_>) -> Results, doc: Doc) -> Row {
    Row { name, import: Import::Operation(import), gives: Gives::Like(0), doc }
}

impl Row {
    /// What a node becomes.
    pub(super) fn import(&self, node: &mut Node<'_>) -> Results {
        match self.import {
            Import::Operation(import) => import(node),
            Import::Function(function) => node.function(function),
        }
    }

    /// With results of these numbers.
    const fn gives(self, gives: Gives) -> Row {
        Row { gives, ..self }
    }

    /// With results of flags.
    const fn gives_flags(self) -> Row {
        self.gives(Gives::All(Number::Flag))
    }

    /// What the numbers of a node's result are.
    pub(super) fn number(&self, node: &NodeProto, result: usize, operands: &[Number]) -> Number {
        let operand = |i: usize| operands.get(i).copied().unwrap_or(Number::Float);
        match self.gives {
            Gives::Like(i) => operand(i),
            Gives::All(number) => number,
            Gives::Second(_) if result == 0 => operand(0),
            Gives::Second(number) => number,
            Gives::First(number) if result == 0 => number,
            Gives::First(_) => Number::Float,
            Gives::Attribute(name) => {
                let to = node.attribute.iter().find(|a| a.name == name).map(|a| a.i);
                let to = to.and_then(|t| DataType::try_from(i32::try_from(t).ok()?).ok());
                to.and_then(Number::of).unwrap_or(Number::Float)
            }
        }
    }
}

impl Number {
    /// What elements of a type are, where they are numbers.
    pub(super) fn of(dtype: DataType) -> Option<Number> {
        match dtype {
            DataType::Bool => Some(Number::Flag),
            t if t.is_integer() => Some(Number::Integer),
            t if t.is_float() => Some(Number::Float),
            _ => None,
        }
    }
}

/// The rows of all operators.
pub(crate) fn rows() -> impl Iterator<Item = Row> {
    let own: Vec<Row> = own_rows().collect();
    let classical = ml::TABLES.iter().copied().flatten();
    // What has the same name in both domains is the same to a reader.
    let others = classical.chain(runtimes()).filter(|row| own.iter().all(|own| own.name != row.name));
    let others: Vec<Row> = others.copied().collect();
    own.into_iter().chain(others)
}

/// The row of an operator of one of the domains.
pub(super) fn row_of(domain: &str, name: &str) -> Option<Row> {
    if is_classical(domain) {
        return ml::TABLES.iter().copied().flatten().copied().find(|row| row.name == name);
    }
    if is_runtimes(domain) {
        return runtimes().copied().find(|row| row.name == name);
    }
    own_rows().find(|row| row.name == name)
}

/// The rows of ONNX Runtime's own operators.
fn runtimes() -> impl Iterator<Item = &'static Row> {
    [microsoft::TABLE, fused::TABLE, heads::TABLE].into_iter().flatten()
}

/// Whether a domain is that of ONNX Runtime's own operators, of which some are known here.
pub(super) fn is_runtimes(domain: &str) -> bool {
    domain == microsoft::DOMAIN
}

/// The rows of ONNX's own operators.
fn own_rows() -> impl Iterator<Item = Row> {
    const TABLES: &[&[Row]] = &[
        pass::TABLE,
        convolution::TABLE,
        product::TABLE,
        quantised::TABLE,
        attention::TABLE,
        normalisation::TABLE,
        arithmetic::TABLE,
        pooling::TABLE,
        reduction::TABLE,
        recurrent::TABLE,
        movement::TABLE,
        pad::TABLE,
        gather::TABLE,
        resize::TABLE,
        sample::TABLE,
        fourier::TABLE,
        static_shape::TABLE,
    ];
    table::rows(TABLES, |entry| entry.onnx, Gives::Like(0))
}

/// Whether a domain is ONNX's own.
pub(super) fn is_onnx(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Whether a domain is that of ONNX's classical machine learning.
pub(super) fn is_classical(domain: &str) -> bool {
    domain == ml::DOMAIN
}

/// What ONNX says of a node.
pub(crate) struct Message<'a> {
    pub(super) def: &'a NodeProto,
    /// What the numbers of the operands are.
    pub(super) numbers: Vec<Number>,
    /// For each result, whether anything uses it.
    pub(super) wanted: Vec<bool>,
    /// For each result, whether it is an output of the model.
    pub(super) opened: Vec<bool>,
    /// The types of operands, where these are constants in the file.
    pub(super) types: Vec<Option<DataType>>,
    pub(super) opset: i64,
    pub(super) folder: &'a Folder,
}

/// A node while it is imported.
pub(crate) type Node<'a> = node::Node<'a, Message<'a>>;

impl Node<'_> {
    /// What the numbers of an operand are.
    fn number(&self, i: usize) -> Number {
        self.message.numbers.get(i).copied().unwrap_or(Number::Float)
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
