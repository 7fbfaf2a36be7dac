//! `cryptflow attest insecure-simulated-root`: a root for machines without trusted hardware.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::error::{Error, Result};
use clap::Args;

/// Make (or renew) a simulated root of trust, which PROTECTS NOTHING.
///
/// For trying and testing Aramis on machines without trusted hardware. Parties that are started
/// with --insecure-simulated-tee DIR sign evidence with the keys in the folder; verifiers that are
/// started with it accept such evidence, if the policy allows it, too. Whoever reads the folder can
/// sign anything.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder. Where it holds a root, its keys stay, and its collateral is renewed.
    dir: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    cryptflow_aramis::simulated::create(&arguments.dir, SystemTime::now()).map_err(Error::new)?;
    crate::commands::print(&format!(
        "{}: an INSECURE simulated root of trust. Evidence that it signs protects nothing.\n",
        arguments.dir.display()
    ))
}
