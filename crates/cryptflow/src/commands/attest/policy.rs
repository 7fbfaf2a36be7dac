//! `cryptflow attest policy`: writes a policy.

use std::path::PathBuf;

use crate::attest::policy::{self, Recipe};
use crate::error::{Error, Result};
use clap::Args;
use cryptflow_aramis::hex;

/// Write a policy from measurements, as strict as it can be for them.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    recipe: Recipe,
    /// Where to write it; standard output, otherwise.
    #[arg(short, long)]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let policy = policy::write(&arguments.recipe)?;
    let mut text = String::from(
        "# What counts as a proof. The same at every participant: sessions start only if the digests agree.\n",
    );
    text += &format!("# digest {}\n", hex::encode(&policy.digest()));
    text += &policy.to_toml().map_err(Error::new)?;
    super::write_or_print(arguments.output.as_deref(), &text)
}
