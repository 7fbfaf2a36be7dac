//! What plans of one graph have in common, whatever their scale.

use super::contents::Contents;
use super::tables::Tables;

/// What plans of one graph have in common.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// What weights hold.
    pub(crate) contents: Contents,
    /// Tables of functions.
    pub(crate) tables: Tables,
}
