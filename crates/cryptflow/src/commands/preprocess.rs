//! `cryptflow preprocess`: has runs of a compiled model dealt ahead, which `cryptflow run --preprocessed`
//! takes.

use std::path::PathBuf;
use std::time::Instant;

use crate::client::Client;
use crate::dealt::{self, Dealt};
use crate::error::{Error, Result};
use crate::local::{Dealing, Executable, Parties};
use clap::Args;
use cryptflow_figures::table::bytes;
use cryptflow_party::stock::MOST_RUNS;
use cryptflow_protocols::ProtocolName;
use indicatif::ProgressBar;
use serde_json::json;

use super::model::Compiled;
use super::network::Emulated;
use super::protocol;

/// Deal runs of a compiled model ahead, between processes on this machine: `run --preprocessed` then takes
/// one after another, without the party that deals.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The compiled model.
    model: PathBuf,
    /// How many runs: each serves for one batch, once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_RUNS)))]
    runs: u32,
    /// Where they are kept: a folder that does not exist, is empty, or holds dealt runs that are all used. Who
    /// can read it can read what is run.
    #[arg(long, short, value_name = "FOLDER")]
    out: PathBuf,
    /// The protocol.
    #[arg(long, value_parser = protocol::parser(), default_value_t = ProtocolName::DEFAULT)]
    protocol: ProtocolName,
    /// Seconds of silence after which a party counts as gone.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    timeout: f64,
    #[command(flatten)]
    network: Emulated,
    /// Print what was dealt as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, executable: &Executable) -> Result<()> {
    let Arguments { out, protocol, runs, .. } = arguments;
    let (timeout, network) = (super::timeout(arguments.timeout)?, arguments.network.network()?);
    let Compiled { program, weights, .. } = super::model::compiled(&arguments.model)?;
    dealt::prepare(out, *protocol)?;

    let begun = Instant::now();
    let made =
        Parties::launch_dealing(executable, protocol.facts().parties, timeout, network, Dealing::Ahead(out))
            .map_err(Error::new)
            .and_then(|(parties, links)| {
                let bar = ProgressBar::new(u64::from(*runs));
                let dealing = Client::begin(links, &program, *protocol).and_then(|client| {
                    client.deploy(&weights)?;
                    client.deal(*runs, &mut |done| bar.set_position(u64::from(done)))?;
                    client.finish()
                });
                bar.finish_and_clear();
                parties.end(dealing.map_err(Error::from))
            })
            .and_then(|_| Dealt::write(out, &program, *protocol, &weights));
    let made = made.inspect_err(|_| dealt::remove(out, *protocol))?;

    let (sizes, seconds) = (made.sizes()?, begun.elapsed().as_secs_f64());
    if arguments.json {
        let named = sizes.iter().enumerate().map(|(party, size)| (format!("p{party}"), json!(size)));
        let named: serde_json::Map<_, _> = named.collect();
        let report = json!({ "runs": runs, "seconds": seconds, "disk_bytes": named });
        return super::print(&serde_json::to_string_pretty(&report).map_err(Error::new)?);
    }
    let named: Vec<String> =
        sizes.iter().enumerate().map(|(party, size)| format!("P{party} {}", bytes(*size))).collect();
    super::print(&format!(
        "{runs} run{} dealt ahead in {seconds:.3} s\ndisk     {}, for the evaluators' eyes only\n",
        if *runs == 1 { "" } else { "s" },
        named.join(", ")
    ))
}
