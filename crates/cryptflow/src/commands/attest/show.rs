//! `cryptflow attest show`: what evidence says.

use std::path::PathBuf;

use crate::error::{Error, Result};
use clap::Args;

/// Show what evidence says, without verifying it.
#[derive(Args)]
pub(crate) struct Arguments {
    /// A file of evidence: JSON, a quote (SGX, TDX), or a report (SEV-SNP), also as hexadecimal
    /// digits.
    file: PathBuf,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let contents =
        super::read_evidence(&arguments.file)?.contents().map_err(|e| Error::at(&arguments.file, e))?;
    if arguments.json {
        crate::commands::print(&serde_json::to_string_pretty(&contents).map_err(Error::new)?)
    } else {
        crate::commands::print(&format!(
            "{contents}\nNOT VERIFIED: `cryptflow attest verify` says whether it is true.\n"
        ))
    }
}
