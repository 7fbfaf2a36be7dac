//! `cryptflow predict`: a deployed model, on inputs that no party sees.

use std::time::{Duration, Instant};

use crate::ahead::{Ready, When};
use crate::client::Client;
use crate::deployed::Described;
use crate::error::{Error, Result};
use crate::patience::Patience;
use crate::profile::Clocks;
use crate::remote::{Opened, Site};
use crate::report::{DealtAhead, Report};
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
    /// Whether to take runs that were dealt ahead (`cryptflow preprocess --config`), a run a batch: each serves once,
    /// and the party that deals need not be there.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::IfThere)]
    dealt: When,
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
    let (ready, found) = (dealt(arguments, &site, &mut patience)?, &mut None);
    let Described { deployment, program, warning, .. } = match &ready {
        Some(ready) => &ready.described,
        None => found.insert(site.found_in_time(&arguments.model, &mut patience)?),
    };
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
    let job = Job::prepare(program, &arguments.files, &arguments.profiled, Vec::new())?;
    let bar = job.progress();
    bar.set_message("connecting");

    let runs = job.runs() as u64;
    let run = |opened: Opened, begun: Instant, site: &Site| {
        let mut report = Report { session: Some(site.session(&opened)), ..Report::of(protocol) };
        let mut renewal = opened.renewal;
        let mut client = Client::join(opened.links, job.program, &opened.manifest, renewal.is_some())?;
        arguments.profiled.begin(&mut client)?;
        report.seconds.share = begun.elapsed().as_secs_f64();
        let results = job.run(client, &bar, &mut report, None, &mut renewal)?;
        Ok::<_, Error>((results, report))
    };
    let mut told = |what: &str| bar.set_message(what.to_string());
    let mut patience = Patience::of(limit, &mut told);
    let taken = match &ready {
        None => None,
        Some(ready) => {
            let begun = Instant::now();
            let opened = ready.open(runs, &mut patience);
            match opened.and_then(|(opened, _)| run(opened, begun, ready.site())) {
                Ok((results, mut report)) => {
                    report.dealt_ahead = Some(left(ready, runs));
                    Some((results, report))
                }
                Err(error) if arguments.dealt != When::Only && error.code() == Code::NoDealtRun => {
                    eprintln!("{error}: P{} deals while the model runs", ready.at.len());
                    None
                }
                Err(error) => return Err(error),
            }
        }
    };
    let (results, mut report) = match taken {
        Some(taken) => taken,
        None => {
            let begun = Instant::now();
            run(site.open(deployment, job.program, protocol, &mut patience)?, begun, &site)?
        }
    };
    if report.session.as_ref().is_some_and(|session| session.insecure_simulated_tee) {
        eprintln!("INSECURE: the parties' evidence is simulated; it proves nothing");
    }
    arguments.profiled.conclude(program, &mut report, Clocks::Several)?;
    job.conclude(report, &results, &arguments.files, None)
}

/// Runs that were dealt ahead, where such are wanted, and where there are any, or must be.
fn dealt(arguments: &Arguments, site: &Site, patience: &mut Patience<'_>) -> Result<Option<Ready>> {
    let Arguments { model, protocol, dealt, profiled, .. } = arguments;
    match dealt {
        When::Only if profiled.is_wanted() => {
            Err(Error::new("--dealt only: runs that were dealt ahead have no time line (--profile, --trace)"))
        }
        When::IfThere if profiled.is_wanted() => Ok(None),
        When::IfThere | When::Only | When::Never => site.ready(*dealt, model, *protocol, 1, patience),
    }
}

/// What is left of them, as the evaluators say, or as it was before, less what was taken.
fn left(ready: &Ready, taken: u64) -> DealtAhead {
    let (left, at) = match ready.now() {
        Ok(now) => (now.left(), now.at),
        Err(_) => (
            ready.left().saturating_sub(taken),
            ready.at.iter().map(|left| left.saturating_sub(taken)).collect(),
        ),
    };
    let at = at.into_iter().enumerate().map(|(party, left)| (format!("p{party}"), left)).collect();
    DealtAhead { left, at }
}
