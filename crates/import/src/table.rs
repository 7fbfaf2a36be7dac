//! The tables of an importer: a row for each name of an operation.

use crate::docs::{self as doc, Doc};
use cryptflow_graph::Function;
use cryptflow_graph::operations::{Entry, catalogue};

/// A name of an operation, what imports it, what its results' elements are, where the framework
/// needs that, and what the page of operations says of it.
#[derive(Clone, Copy)]
pub(crate) struct Row<I, G = ()> {
    pub(crate) name: &'static str,
    pub(crate) import: Import<I>,
    pub(crate) gives: G,
    pub(crate) doc: Doc,
}

/// What imports an operation.
#[derive(Clone, Copy)]
pub(crate) enum Import<I> {
    Operation(I),
    /// A function of the catalogue.
    Function(Function),
}

/// The rows of the tables, and of the functions of the catalogue, under each of the names that a
/// framework has for them.
pub(crate) fn rows<I: Copy, G: Copy>(
    tables: &'static [&'static [Row<I, G>]],
    names: fn(&Entry) -> &'static [&'static str],
    gives: G,
) -> impl Iterator<Item = Row<I, G>> {
    let row = move |f: Function, name| Row { name, import: Import::Function(f), gives, doc: doc::of(f) };
    let functions = catalogue().flat_map(move |f| names(f.entry()).iter().map(move |&name| row(f, name)));
    tables.iter().copied().flatten().copied().chain(functions)
}

/// Names of operations that are not imported, with spaces between, and what is said of them: why,
/// and what to do. The last row is about all others.
pub(crate) type Advice = &'static [(&'static str, &'static str)];

/// What is said of an operation that no table has.
pub(crate) fn advice(table: Advice, op: &str) -> &'static str {
    let found = table.iter().find(|(names, _)| names.split(' ').any(|name| name == op));
    found.or(table.last()).map_or("", |(_, reason)| reason)
}
