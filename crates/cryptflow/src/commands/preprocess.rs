//! `cryptflow preprocess`: has runs dealt ahead, of a compiled model for `cryptflow run --preprocessed`, or of a deployed
//! one at three organisations for `cryptflow predict`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::ahead::Made;
use crate::client::Client;
use crate::dealt::{self, Dealt};
use crate::error::{Error, Result};
use crate::local::{Dealing, Executable, Parties};
use crate::patience::Patience;
use crate::remote::Site;
use clap::Args;
use cryptflow_figures::table::bytes;
use cryptflow_party::deployment::check_name;
use cryptflow_party::stock::MOST_RUNS;
use cryptflow_protocols::ProtocolName;
use indicatif::ProgressBar;
use serde_json::json;

use super::model::Compiled;
use super::network::Emulated;
use super::protocol;

/// Deal runs of a model ahead, which are then taken one after another, without the party that deals: with `--out`
/// between processes on this machine, of a compiled model, for `run --preprocessed`; with `--config` at three
/// organisations, of a deployed model, for `predict`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The compiled model; with `--config`, the deployed model's name.
    model: PathBuf,
    /// How many runs: each serves for one batch, once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_RUNS)))]
    runs: u32,
    /// Where they are kept: a folder that does not exist, is empty, or holds dealt runs that are all used. Who
    /// can read it can read what is run.
    #[arg(long, short, value_name = "FOLDER", required_unless_present = "config")]
    out: Option<PathBuf>,
    /// The client's site, for a model that is deployed: what is dealt stays at the parties, who need room for it. The
    /// client must be one that may deploy.
    #[arg(long, value_name = "SITE.toml", conflicts_with_all = ["out", "protocol", "timeout", "rtt", "bandwidth"])]
    config: Option<PathBuf>,
    /// Go on, until the command is stopped: whenever fewer than half of the runs are left and no session runs at any
    /// party, deal what is missing.
    #[arg(long, requires = "config", conflicts_with = "json")]
    keep: bool,
    /// The protocol.
    #[arg(long, value_parser = protocol::parser(), default_value_t = ProtocolName::DEFAULT)]
    protocol: ProtocolName,
    /// Seconds of silence after which a party counts as gone.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    timeout: f64,
    #[command(flatten)]
    network: Emulated,
    /// Accept evidence of the simulated root of trust in this folder: proves nothing, protects nothing.
    #[arg(long, value_name = "DIR", requires = "config")]
    insecure_simulated_tee: Option<PathBuf>,
    /// Print what was dealt as one JSON object.
    #[arg(long)]
    json: bool,
}

/// How often `--keep` looks what is left.
const LOOK: Duration = Duration::from_secs(5);

/// How long it waits where that, or dealing, has failed.
const PAUSE: Duration = Duration::from_secs(60);

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, executable: &Executable) -> Result<()> {
    if let Some(config) = &arguments.config {
        return at_organisations(arguments, config);
    }
    let Arguments { out: Some(out), protocol, runs, .. } = arguments else {
        return Err(Error::new("name a folder: --out"));
    };
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
    super::print(&format!(
        "{runs} run{} dealt ahead in {seconds:.3} s\ndisk     {}, for the evaluators' eyes only\n",
        if *runs == 1 { "" } else { "s" },
        named(&sizes)
    ))
}

/// Runs the command for a model that is deployed: at each lane.
fn at_organisations(arguments: &Arguments, config: &Path) -> Result<()> {
    let site = Site::read(config, arguments.insecure_simulated_tee.as_deref())?;
    let (runs, name) = (arguments.runs, arguments.model.to_str().unwrap_or_default());
    check_name(name)?;
    if arguments.keep {
        return keep(&site, name, runs);
    }
    let (mut reports, mut lines) = (Vec::new(), Vec::new());
    for (lane, site) in site.each_lane()?.into_iter().enumerate() {
        let begun = Instant::now();
        let made = dealt(&site, name, runs);
        let at = if site.lanes() == 1 { String::new() } else { format!("lane {lane}: ") };
        let Made { deployment, bytes } =
            made.map_err(|error| Error::of(error.code(), format!("{at}{error}")))?;
        let (seconds, deployment) = (begun.elapsed().as_secs_f64(), hex::encode(deployment));
        let of_party = bytes.iter().enumerate().map(|(party, bytes)| (format!("p{party}"), json!(bytes)));
        let of_party: serde_json::Map<_, _> = of_party.collect();
        lines.push(format!(
            "{at}{runs} run{} of {name} dealt ahead in {seconds:.3} s\ndisk     {}",
            if runs == 1 { "" } else { "s" },
            named(&bytes)
        ));
        reports.push(json!({ "model": name, "deployment": deployment, "runs": runs, "seconds": seconds,
            "disk_bytes": of_party, "lane": lane }));
    }
    if arguments.json { super::print_each(reports) } else { super::print(&lines.join("\n")) }
}

/// Has runs dealt at a lane; says beforehand what they take.
fn dealt(site: &Site, name: &str, runs: u32) -> Result<Made> {
    let bar = ProgressBar::new(u64::from(runs));
    let mut say = |sizes: &[u64]| {
        bar.suspend(|| eprintln!("{runs} runs of {name} take {}", named(sizes)));
    };
    let mut told = |what: &str| bar.set_message(what.to_string());
    let mut patience = Patience::of(Patience::USUAL, &mut told);
    let mut progress = |done| bar.set_position(u64::from(done));
    let made = site.preprocess(name, runs, &mut say, &mut progress, &mut patience);
    bar.finish_and_clear();
    made
}

/// Keeps so many runs ready at each lane, as long as what goes wrong may pass.
fn keep(site: &Site, name: &str, runs: u32) -> Result<()> {
    loop {
        let mut pause = LOOK;
        for site in site.each_lane()? {
            let begun = Instant::now();
            let missing = site.missing(name, runs.into());
            let made = missing.and_then(|missing| match u32::try_from(missing).unwrap_or(runs) {
                0 => Ok(None),
                missing => dealt(&site, name, missing).map(|_| Some(missing)),
            });
            match made {
                Ok(None) => {}
                Ok(Some(dealt)) => {
                    let seconds = begun.elapsed().as_secs_f64();
                    super::print(&format!("{dealt} runs of {name} dealt ahead in {seconds:.3} s"))?;
                }
                Err(error) if error.lasts() => return Err(error),
                // A disk that is full, say, is not filled again at once.
                Err(error) => {
                    eprintln!("{error}");
                    pause = PAUSE;
                }
            }
        }
        std::thread::sleep(pause);
    }
}

/// What each evaluator keeps.
fn named(sizes: &[u64]) -> String {
    let named = sizes.iter().enumerate().map(|(party, size)| format!("P{party} {}", bytes(*size)));
    named.collect::<Vec<_>>().join(", ")
}
