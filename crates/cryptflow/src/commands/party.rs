//! `cryptflow party`: one of the three parties, as a service.

use std::process::Command;

use crate::error::{Error, Result};
use crate::local::Executable;
use clap::Args;
use cryptflow_party::lanes::Lane;

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
    cryptflow_party::run(&site.config, lane, simulated, Box::new(session)).map_err(Error::new)
}
