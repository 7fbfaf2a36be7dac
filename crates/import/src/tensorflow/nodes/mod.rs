//! TensorFlow's operations: for each family a file with a table from names to functions, and what
//! the functions share.

mod arithmetic;
mod attributes;
mod blocks;
mod convolution;
mod division;
mod element;
mod flow;
mod gather;
mod list;
mod matrix;
mod movement;
mod neuron;
mod pass;
mod pooling;
mod product;
mod quantised;
mod reduction;
mod refused;
mod resize;
mod slice;
mod static_shape;
mod window;

use super::messages::NodeDef;
use crate::docs::Doc;
use crate::node::{self, Results, Value};
use crate::table::{self, Import};
use crate::value::Fault;

pub(super) use pass::bound;
pub(crate) use refused::Origin;
use refused::advice_on;
pub(super) use refused::{advice, function_call};

/// A row of a table.
pub(crate) type Row = table::Row<fn(&mut Node<'_>) -> Results>;

const fn row(name: &'static str, import: fn(&mut Node<'_>) -> Results, doc: Doc) -> Row {
    Row { name, import: Import::Operation(import), gives: (), doc }
}

impl Row {
    /// What a node becomes.
    pub(super) fn import(&self, node: &mut Node<'_>) -> Results {
        match self.import {
            Import::Operation(import) => import(node),
            Import::Function(function) => node.function(function),
        }
    }
}

/// The rows of all operations.
pub(crate) fn rows() -> impl Iterator<Item = Row> {
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
        quantised::TABLE,
        resize::TABLE,
        gather::TABLE,
        matrix::TABLE,
        list::TABLE,
        flow::TABLE,
    ];
    table::rows(TABLES, |entry| entry.tensorflow, ())
}

/// What TensorFlow says of a node.
pub(crate) struct Message<'a> {
    pub(super) def: &'a NodeDef,
    /// The first length of inputs that leave it open.
    pub(super) batch: Option<usize>,
}

/// A node while it is imported.
pub(crate) type Node<'a> = node::Node<'a, Message<'a>>;
