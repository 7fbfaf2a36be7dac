//! `cryptflow party`: one of the three parties, as a service.

use std::process::Command;

use crate::error::{Error, Result};
use crate::local::Executable;
use clap::Args;
use cryptflow_party::lanes::Lane;
use cryptflow_party::log::{Form, Level, Log};

use super::site::Where;

/// Run one of the three parties, until it is stopped. Where parties are attested, run the small
/// binary `cryptflow-party` instead: it takes the same arguments, and its measurement is the one to
/// put into the policy.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    site: Where,
    /// Which of the party's lanes (site.lanes) this is: its number, from 0; auto takes the number at the end of
    /// the host's name.
    #[arg(long, value_name = "NUMBER|auto")]
    lane: Option<Lane>,
    /// How the lines on standard error look: text, for people, or json, an object a line.
    #[arg(long, value_name = "FORM", default_value = Form::Text.word())]
    log: Form,
    /// What matters less is not said: error, warn or info.
    #[arg(long, value_name = "LEVEL", default_value = Level::Info.word())]
    log_level: Level,
}

/// Runs the command. The process of a session is one of `executable`.
pub(crate) fn run(arguments: &Arguments, executable: &Executable) -> Result<()> {
    let site = &arguments.site;
    let (executable, simulated) = (executable.clone(), site.insecure_simulated_tee.clone());
    let session = move || {
        let mut command = match &executable {
            Executable::This => Command::new(cryptflow_party::this_executable()?),
            through @ Executable::Through { .. } => through.command()?,
        };
        command.arg("party-session");
        if let Some(folder) = &simulated {
            command.arg("--insecure-simulated-tee").arg(folder);
        }
        Ok(command)
    };
    let simulated = site.insecure_simulated_tee.as_deref();
    let lane = arguments.lane.unwrap_or_default();
    let log = Log::new(arguments.log, arguments.log_level);
    cryptflow_party::run(&site.config, lane, simulated, log, Box::new(session)).map_err(Error::new)
}
