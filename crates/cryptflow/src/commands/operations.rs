//! `cryptflow operations`: the page of operations.

use clap::Args;
use cryptflow::error::Result;
use cryptflow::operations;

/// List the operations of TensorFlow and ONNX that can be compiled, with their costs: the page
/// docs/operations.md.
#[derive(Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Result<()> {
    super::print(&operations::page()?)
}
