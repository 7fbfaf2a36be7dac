//! `cryptflow run`: a compiled model on inputs that no party sees, between processes on this
//! machine, one a party.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::client::Client;
use crate::dealt::Dealt;
use crate::error::{Error, Result};
use crate::local::{Dealing, Executable, Parties};
use crate::profile::Clocks;
use crate::report::{DealtAhead, Report};
use clap::Args;
use cryptflow_protocols::ProtocolName;

use super::inference::{Files, Job};
use super::model::Compiled;
use super::network::Emulated;
use super::profiled::Profiled;
use super::protocol;

/// Run a compiled model on inputs that no party sees, between processes on this machine, one a
/// party.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The compiled model.
    model: PathBuf,
    #[command(flatten)]
    files: Files,
    /// The protocol.
    #[arg(long, value_parser = protocol::parser(), default_value_t = ProtocolName::DEFAULT)]
    protocol: ProtocolName,
    /// Seconds of silence after which a party counts as gone.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    timeout: f64,
    /// Take runs that `cryptflow preprocess` dealt ahead into this folder, a run a batch: each serves once, and
    /// the party that deals is not there.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["profile", "trace"])]
    preprocessed: Option<PathBuf>,
    #[command(flatten)]
    network: Emulated,
    #[command(flatten)]
    profiled: Profiled,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, executable: &Executable) -> Result<()> {
    let timeout = super::timeout(arguments.timeout)?;
    let network = arguments.network.network()?;
    arguments.files.spare_model(&arguments.model, &arguments.profiled)?;
    let Compiled { program, weights, origin, meanings } = super::model::compiled(&arguments.model)?;
    let job = Job::prepare(&program, &arguments.files, &arguments.profiled, meanings)?;
    let protocol = arguments.protocol;
    let mut report = Report { origin, ..Report::of(protocol) };
    let bar = job.progress();

    let dealt = match &arguments.preprocessed {
        Some(folder) => Some(Dealt::open(folder, &program, protocol, &weights)?),
        None => None,
    };
    dealt.iter().try_for_each(|dealt| dealt.enough(job.runs()))?;
    let (count, dealing) = match &dealt {
        Some(dealt) => (dealt.evaluators(), Dealing::Kept(dealt.folder())),
        None => (protocol.facts().parties, Dealing::Live),
    };
    let (parties, links) =
        Parties::launch_dealing(executable, count, timeout, network, dealing).map_err(Error::new)?;
    let begun = Instant::now();
    bar.set_message("sharing the weights");
    let client = match &dealt {
        Some(dealt) => Client::begin_dealt(links, job.program, protocol, dealt.deployment()),
        None => Client::begin(links, job.program, protocol)
            .and_then(|client| client.deploy(&weights).map(|()| client)),
    };
    let result = client.map_err(Error::from).and_then(|mut client| {
        arguments.profiled.begin(&mut client)?;
        report.seconds.share = begun.elapsed().as_secs_f64();
        job.run(client, &bar, &mut report, Some(&weights), &mut None)
    });
    let results = parties.end(result)?;
    report.network = network.map(Into::into);
    arguments.profiled.conclude(&program, &mut report, Clocks::One)?;
    if let Some(dealt) = &dealt {
        report.dealt_ahead = Some(DealtAhead { left: dealt.left()?, at: BTreeMap::new() });
    }
    job.conclude(report, &results, &arguments.files, Some(&weights))
}
