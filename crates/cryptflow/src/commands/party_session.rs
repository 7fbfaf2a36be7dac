//! `cryptflow party-session`: the process of one session, which `cryptflow party` starts. Not for people.

use std::path::PathBuf;

use crate::error::{Error, Result};
use clap::Args;

/// Serves one session of the party that has started this process.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of a simulated root of trust.
    #[arg(long, value_name = "DIR")]
    insecure_simulated_tee: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    cryptflow_party::run_session(arguments.insecure_simulated_tee.as_deref()).map_err(Error::new)
}
