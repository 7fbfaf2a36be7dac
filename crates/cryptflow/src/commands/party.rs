//! `cryptflow party`: one of the three parties, as a service.

use crate::error::{Error, Result};
use clap::Args;

use super::site::Where;

/// Run one of the three parties, until it is stopped. Where parties are attested, run the small
/// binary `cryptflow-party` instead: it takes the same arguments, and its measurement is the one to
/// put into the policy.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    site: Where,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let site = &arguments.site;
    cryptflow_party::run(&site.config, site.insecure_simulated_tee.as_deref()).map_err(Error::new)
}
