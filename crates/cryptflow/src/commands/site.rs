//! The arguments of commands that speak with three organisations.

use std::path::PathBuf;

use crate::error::Result;
use crate::remote::Site;
use clap::Args;

/// Who this is, and who the parties are.
#[derive(Args)]
pub(crate) struct Where {
    /// The site's configuration, as `cryptflow init` writes it.
    #[arg(long, value_name = "SITE.toml", default_value = "cryptflow.toml")]
    pub(crate) config: PathBuf,
    /// Accept evidence of the simulated root of trust in this folder: proves nothing, protects
    /// nothing.
    #[arg(long, value_name = "DIR")]
    pub(crate) insecure_simulated_tee: Option<PathBuf>,
}

impl Where {
    /// The client's site.
    pub(crate) fn site(&self) -> Result<Site> {
        Site::read(&self.config, self.insecure_simulated_tee.as_deref())
    }
}
