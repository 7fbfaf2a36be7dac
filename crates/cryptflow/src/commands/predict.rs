//! `cryptflow predict`: a deployed model, on inputs that no party sees.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::deployed::Described;
use crate::error::{Error, Result};
use crate::patience::Patience;
use crate::profile::Clocks;
use crate::report::Report;
use clap::Args;
use cryptflow_party::code::Code;
use cryptflow_party::config::LONGEST;
use cryptflow_protocols::ProtocolName;

use super::inference::{Files, Job};
use super::profiled::Profiled;
use super::protocol;
use super::site::Where;

/// Run a deployed model on inputs that no party sees, at three organisations.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The model's name.
    model: String,
    #[command(flatten)]
    files: Files,
    /// The protocol; the one that the model was deployed for by default.
    #[arg(long, value_parser = protocol::parser())]
    protocol: Option<ProtocolName>,
    /// Run nothing but the model with this digest, as `cryptflow deploy` printed it.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Seconds to wait for a session where a party is busy. One that is away is waited for, too, for 15 s
    /// of them at most. 0 tries once.
    #[arg(long, value_name = "SECONDS", default_value_t = Patience::USUAL.as_secs_f64())]
    patience: f64,
    #[command(flatten)]
    profiled: Profiled,
    #[command(flatten)]
    site: Where,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let site = arguments.site.site()?;
    let limit = Duration::try_from_secs_f64(arguments.patience).ok().filter(|limit| *limit <= LONGEST);
    let limit = limit.ok_or_else(|| {
        Error::new(format!("--patience {}: give a number of seconds, a year's at most", arguments.patience))
    })?;
    let waited = Instant::now();
    // There is nothing yet that could show it again and again: it is said once.
    let mut said = false;
    let mut told = |what: &str| {
        if !std::mem::replace(&mut said, true) {
            eprintln!("{what}");
        }
    };
    let mut patience = Patience::of(limit, &mut told);
    let Described { deployment, program, warning, .. } =
        site.found_in_time(&arguments.model, &mut patience)?;
    let limit = limit.saturating_sub(waited.elapsed());
    if let Some(warning) = warning {
        eprintln!("warning: {warning}");
    }
    let digest = hex::encode(deployment.digest());
    if let Some(wanted) = arguments.digest.as_ref().filter(|&wanted| *wanted != digest) {
        return Err(Error::of(
            Code::DifferentModel,
            format!("the parties keep {digest} under this name, not {wanted}"),
        ));
    }
    let protocol = arguments.protocol.unwrap_or(deployment.protocol);
    let job = Job::prepare(&program, &arguments.files, &arguments.profiled, Vec::new())?;
    let bar = job.progress();
    bar.set_message("connecting");

    let begun = Instant::now();
    let mut told = |what: &str| bar.set_message(what.to_string());
    let opened = site.open(&deployment, job.program, protocol, &mut Patience::of(limit, &mut told))?;
    let mut report = Report { session: Some(site.session(&opened)), ..Report::of(protocol) };
    let mut renewal = opened.renewal;
    let mut client = Client::join(opened.links, job.program, &opened.manifest, renewal.is_some())?;
    arguments.profiled.begin(&mut client)?;
    report.seconds.share = begun.elapsed().as_secs_f64();
    let results = job.run(client, &bar, &mut report, None, &mut renewal)?;
    if report.session.as_ref().is_some_and(|session| session.insecure_simulated_tee) {
        eprintln!("INSECURE: the parties' evidence is simulated; it proves nothing");
    }
    arguments.profiled.conclude(&program, &mut report, Clocks::Several)?;
    job.conclude(report, &results, &arguments.files, None)
}
