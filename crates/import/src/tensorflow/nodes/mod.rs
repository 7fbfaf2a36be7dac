//! TensorFlow's operations: for each family a file with a table from names to functions, and what
//! the functions share.

mod arithmetic;
mod attributes;
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

use super::messages::NodeDef;
use crate::docs::{self as doc, Doc};
use crate::node::{self, Results, Value};
use crate::value::Fault;
use cryptflow_graph::Function;
use cryptflow_graph::operations::catalogue;

pub(super) use refused::{advice, function_call};

/// A name of an operation, what imports it, and what the page of operations says of it.
#[derive(Clone, Copy)]
pub(super) struct Row {
    name: &'static str,
    import: Import,
    doc: Doc,
}

/// What imports an operation.
#[derive(Clone, Copy)]
enum Import {
    Operation(fn(&mut Node<'_>) -> Results),
    /// A function of the catalogue.
    Function(Function),
}

const fn row(name: &'static str, import: fn(&mut Node<'_>) -> Results, doc: Doc) -> Row {
    Row { name, import: Import::Operation(import), doc }
}

/// The functions of the catalogue that TensorFlow has, under each of their names.
fn functions() -> impl Iterator<Item = Row> {
    let row = |f: Function, name| Row { name, import: Import::Function(f), doc: doc::of(f) };
    catalogue().flat_map(move |f| f.entry().tensorflow.iter().map(move |&name| row(f, name)))
}

impl Row {
    /// What a node becomes.
    pub(super) fn import(&self, node: &mut Node<'_>) -> Results {
        match self.import {
            Import::Operation(import) => import(node),
            Import::Function(function) => element::function(node, function),
        }
    }
}

/// The row of an operation.
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
    TABLES.iter().copied().flatten().copied().chain(functions())
}

/// What TensorFlow says of a node.
pub(super) struct Message<'a> {
    pub(super) def: &'a NodeDef,
    /// The first length of inputs that leave it open.
    pub(super) batch: Option<usize>,
}

impl node::Message for Message<'_> {
    const ROUNDS_INTEGERS: bool = true;
}

/// A node while it is imported.
pub(super) type Node<'a> = node::Node<'a, Message<'a>>;
