//! `cryptflow party-local`: one of the processes that `cryptflow run` starts. Not for people.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::local;
use clap::Args;
use cryptflow_party::Supply;

use super::network::Emulated;

/// Serves one session with the parties that the same command started.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Which party, from 0.
    index: u8,
    /// How many there are.
    parties: u8,
    /// Seconds of silence after which a party counts as gone.
    #[arg(long, default_value_t = 60.0)]
    timeout: f64,
    #[command(flatten)]
    network: Emulated,
    /// Have runs dealt ahead, and keep them in this folder.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Deal runs ahead.
    #[arg(long, conflicts_with = "keep")]
    deal: bool,
    /// Take runs that were dealt ahead from this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["keep", "deal"])]
    stock: Option<PathBuf>,
}

/// Runs the command. The client tells what went wrong, so an error prints nothing here.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let deadline = Duration::try_from_secs_f64(arguments.timeout).map_err(Error::new)?;
    let (index, parties) = (arguments.index.into(), arguments.parties.into());
    let Arguments { keep, deal, stock, .. } = arguments;
    let supply = || match stock {
        Some(folder) => Supply::from_stock(folder, index),
        None if *deal || keep.is_some() => Ok(Supply::ahead(keep.clone())),
        None => Ok(Supply::Live),
    };
    match local::run_party(index, parties, deadline, arguments.network.network()?, supply) {
        Ok(()) => Ok(()),
        Err(_) => std::process::exit(1),
    }
}
