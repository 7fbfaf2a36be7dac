//! The commands, one file each. A command's module has its arguments (`Arguments`) and `run`.

use clap::Subcommand;
use cryptflow::error::Result;

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {}

/// Runs a command.
pub(crate) fn run(command: Command) -> Result<()> {
    match command {}
}
