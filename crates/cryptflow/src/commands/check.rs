//! `cryptflow check`: whether a model can be compiled, node by node, without data.

use crate::check_report::Found;
use crate::error::{Error, Result};
use clap::Args;
use cryptflow_athos::check::check;

use super::model::Model;

/// Say of every node of a model whether it can be compiled, and what to do about those that cannot.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: Model,
    /// List every node, not only those that are not plainly supported.
    #[arg(long)]
    nodes: bool,
    /// One JSON object on standard output, with every node.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let model = &arguments.model.model;
    let check = check(model, &arguments.model.options()).map_err(|e| Error::import(model, &e))?;
    let found = Found::new(&check);
    let text = if arguments.json {
        serde_json::to_string_pretty(&found).map_err(Error::new)?
    } else {
        found.text(arguments.nodes)
    };
    super::print(&text)?;
    match found.unsupported.len() {
        0 if found.compiles => Ok(()),
        n => {
            let error = Error::new(format_args!(
                "{n} node{} of the model cannot be compiled",
                if n == 1 { "" } else { "s" }
            ));
            Err(if arguments.json { error.reported() } else { error })
        }
    }
}
