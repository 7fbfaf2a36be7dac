//! `cryptflow operations`: the page of operations.

use crate::error::Result;
use crate::operations;
use clap::Args;

/// List the operations of TensorFlow and ONNX that can be compiled, with their costs: the page
/// docs/operations.md.
#[derive(Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Result<()> {
    super::print(&operations::page()?)
}
