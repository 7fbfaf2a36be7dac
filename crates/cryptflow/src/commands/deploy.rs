//! `cryptflow deploy`: a model's weights, shared into the stores of the three parties.

use std::path::PathBuf;

use crate::deploying::Changed;
use crate::error::{Error, Result};
use clap::Args;
use cryptflow_party::deployment::check_name;
use cryptflow_protocols::ProtocolName;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::model::Compiled;
use super::protocol;
use super::site::Where;

/// Share a compiled model's weights into the stores of the three parties; no party learns them. All
/// three use the model from then on, or none does, whoever stops in the middle.
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
    /// In the place of another model of this name, which the parties keep: `cryptflow models rollback`
    /// brings it back.
    #[arg(long)]
    replace: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
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
    check_name(&name)?;
    let protocol = arguments.protocol;
    let (mut reports, mut lines) = (Vec::new(), Vec::new());
    for (lane, site) in site.each_lane()?.into_iter().enumerate() {
        let bar = bar();
        let progress = |arrived: u64, all: u64| {
            bar.set_length(all);
            bar.set_position(arrived);
        };
        let deployed = site.deploy(&name, &program, &weights, protocol, arguments.replace, &progress);
        bar.finish_and_clear();
        let Changed { generation, deployment } = deployed.map_err(|error| match site.lanes() {
            1 => error,
            _ => Error::of(error.code(), format!("lane {lane}: {error}")),
        })?;
        let digest = deployment.map(hex::encode).unwrap_or_default();
        let at = if site.lanes() == 1 { String::new() } else { format!("lane {lane}: ") };
        lines.push(format!(
            "{at}{name} is deployed at {}, for {protocol}: version {generation}\ndigest {digest}",
            site.parties().join(", ")
        ));
        reports
            .push(json!({ "model": name, "version": generation, "deployment": digest, "protocol": protocol,
            "parties": site.parties(), "lane": lane }));
    }
    if arguments.json {
        return super::print_each(reports);
    }
    lines.push(format!("clients run it with: cryptflow predict {name} --input FILE"));
    super::print(&lines.join("\n"))
}

/// Bytes that have arrived, of all parties together.
fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    let style = "{elapsed:>4} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
