//! `cryptflow deploy`: a model's weights, shared into the stores of the three parties.

use std::path::PathBuf;

use crate::error::{Error, Result};
use clap::Args;
use cryptflow_party::deployment::check_name;
use cryptflow_protocols::ProtocolName;

use super::model::Compiled;
use super::protocol;
use super::site::Where;

/// Share a compiled model's weights into the stores of the three parties; no party learns them. All
/// three keep their parts, or none does.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The compiled model.
    model: PathBuf,
    /// What clients call it; the file's name by default.
    #[arg(long)]
    name: Option<String>,
    /// The protocol that it will be used with.
    #[arg(long, value_parser = protocol::parser(), default_value_t = ProtocolName::DEFAULT)]
    protocol: ProtocolName,
    /// In the place of another model of this name.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    site: Where,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let site = arguments.site.site()?;
    let Compiled { program, weights, .. } = super::model::compiled(&arguments.model)?;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => arguments.model.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_string(),
    };
    check_name(&name).map_err(Error::new)?;
    let deployment = site.deploy(&name, &program, &weights, arguments.protocol, arguments.replace)?;
    super::print(&format!(
        "{name} is deployed at {}, for {}\ndigest {}\nclients run it with: cryptflow predict {name} --input FILE",
        site.parties().join(", "),
        arguments.protocol,
        hex::encode(deployment.digest())
    ))
}
