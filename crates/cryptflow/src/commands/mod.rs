//! The commands, one file each. A command's module has its arguments (`Arguments`) and `run`.

mod attest;
mod audit;
mod bench;
mod check;
mod compile;
mod deploy;
mod doctor;
mod gateway;
mod inference;
mod init;
mod inspect;
mod local_cluster;
mod model;
mod models;
mod network;
mod operations;
mod overwriting;
mod party;
mod party_local;
mod party_session;
mod predict;
mod preprocess;
mod profiled;
mod protocol;
mod run;
mod site;
mod site_edit;
mod status;
mod written;

use std::io::{ErrorKind, Write};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::local::Executable;
use clap::Subcommand;
use cryptflow_party::config::LONGEST;

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    Check(check::Arguments),
    Compile(Box<compile::Arguments>),
    Operations(operations::Arguments),
    Inspect(inspect::Arguments),
    Run(run::Arguments),
    Preprocess(preprocess::Arguments),
    #[command(subcommand)]
    Bench(Box<bench::Arguments>),
    #[command(subcommand)]
    Attest(attest::Arguments),
    Init(init::Arguments),
    LocalCluster(local_cluster::Arguments),
    #[command(subcommand)]
    Site(site_edit::Arguments),
    Party(party::Arguments),
    Status(status::Arguments),
    Doctor(doctor::Arguments),
    Audit(audit::Arguments),
    Deploy(deploy::Arguments),
    #[command(subcommand)]
    Models(models::Arguments),
    Predict(predict::Arguments),
    Gateway(Box<gateway::Arguments>),
    #[command(hide = true)]
    PartyLocal(party_local::Arguments),
    #[command(hide = true)]
    PartySession(party_session::Arguments),
}

/// Runs a command. Parties that it starts on this machine run `executable`.
pub(crate) fn run(command: Command, executable: &Executable) -> Result<()> {
    match command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Operations(arguments) => operations::run(&arguments),
        Command::Compile(arguments) => compile::run(&arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Run(arguments) => run::run(&arguments, executable),
        Command::Preprocess(arguments) => preprocess::run(&arguments, executable),
        Command::Bench(arguments) => bench::run(&arguments, executable),
        Command::Attest(arguments) => attest::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::LocalCluster(arguments) => local_cluster::run(&arguments, executable),
        Command::Site(arguments) => site_edit::run(&arguments),
        Command::Party(arguments) => party::run(&arguments, executable),
        Command::Status(arguments) => status::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Deploy(arguments) => deploy::run(&arguments),
        Command::Models(arguments) => models::run(&arguments),
        Command::Predict(arguments) => predict::run(&arguments),
        Command::Gateway(arguments) => gateway::run(*arguments),
        Command::PartyLocal(arguments) => party_local::run(&arguments),
        Command::PartySession(arguments) => party_session::run(&arguments),
    }
}

/// The seconds of `--timeout`.
fn timeout(seconds: f64) -> Result<Duration> {
    let timeout =
        Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero() && *timeout <= LONGEST);
    timeout.ok_or_else(|| Error::new(format_args!("--timeout {seconds}: give a number of seconds")))
}

/// Prints an object for each lane: the one where there is one, and a list where there are several.
fn print_each(mut reports: Vec<serde_json::Value>) -> Result<()> {
    let report = match (reports.pop(), reports.is_empty()) {
        (Some(only), true) => only,
        (last, _) => reports.into_iter().chain(last).collect(),
    };
    print(&serde_json::to_string_pretty(&report).map_err(Error::new)?)
}

/// Prints what a command found. A reader that has seen enough and went away (`| head`) is no
/// failure.
fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| match text.ends_with('\n') {
        true => stdout.flush(),
        false => stdout.write_all(b"\n").and_then(|()| stdout.flush()),
    });
    match written {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new(format_args!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}
