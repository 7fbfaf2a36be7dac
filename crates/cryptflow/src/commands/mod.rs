//! The commands, one file each. A command's module has its arguments (`Arguments`) and `run`.

mod compile;
mod inspect;
mod network;
mod party_local;
mod run;

use clap::Subcommand;
use cryptflow::error::Result;

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    Compile(Box<compile::Arguments>),
    Inspect(inspect::Arguments),
    Run(run::Arguments),
    #[command(hide = true)]
    PartyLocal(party_local::Arguments),
}

/// Runs a command.
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Compile(arguments) => compile::run(&arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::PartyLocal(arguments) => party_local::run(&arguments),
    }
}
