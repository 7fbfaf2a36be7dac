//! What plans of one graph have in common, whatever their scale.

use std::cell::OnceCell;

use cryptflow_graph::Range;

use super::contents::Contents;
use super::tables::Tables;

/// What plans of one graph have in common.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// What weights hold.
    pub(crate) contents: Contents,
    /// What integers are, by node, whatever the input.
    pub(crate) sure: OnceCell<Vec<Option<Range>>>,
    /// Tables of functions.
    pub(crate) tables: Tables,
}
