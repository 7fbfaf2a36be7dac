//! `cryptflow attest`: evidence of trusted hardware, its policy, its collateral, its measurements.

mod fetch;
mod gather;
mod measure;
mod policy;
mod show;
mod simulated_root;
mod verify;

use std::path::Path;

use crate::error::{Error, Result};
use clap::Subcommand;
use cryptflow_aramis::{Evidence, ReportData, hex};

/// Look at evidence of trusted hardware, verify it, predict measurements, write a policy.
///
/// A party that runs on trusted hardware (Intel SGX or TDX, AMD SEV-SNP) proves to the others and
/// to clients which program it runs. What counts as a proof is in a policy, one TOML file, the same
/// at every participant. From a build to a policy:
///
///   cryptflow attest measure party.sig — what the hardware will measure
///
///   cryptflow attest policy --party p0=sgx:… -o policy.toml — a policy that lists it
///
///   cryptflow attest fetch evidence.json -o collateral.json — what the manufacturer says of the
///   platform
///
///   cryptflow attest verify evidence.json --policy policy.toml --collateral collateral.json —
///   whether it counts
#[derive(Subcommand)]
pub(crate) enum Arguments {
    Show(show::Arguments),
    Verify(verify::Arguments),
    Policy(policy::Arguments),
    Measure(measure::Arguments),
    Fetch(fetch::Arguments),
    Gather(gather::Arguments),
    InsecureSimulatedRoot(simulated_root::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match arguments {
        Arguments::Show(arguments) => show::run(arguments),
        Arguments::Verify(arguments) => verify::run(arguments),
        Arguments::Policy(arguments) => policy::run(arguments),
        Arguments::Measure(arguments) => measure::run(arguments),
        Arguments::Fetch(arguments) => fetch::run(arguments),
        Arguments::Gather(arguments) => gather::run(arguments),
        Arguments::InsecureSimulatedRoot(arguments) => simulated_root::run(arguments),
    }
}

/// Reads the 64 bytes that evidence is made for.
fn report_data(text: &str) -> std::result::Result<ReportData, hex::HexError> {
    hex::decode_array(text).map(ReportData)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::at(path, e))
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::at(path, e))
}

fn read_evidence(path: &Path) -> Result<Evidence> {
    Evidence::from_file_bytes(&read(path)?).map_err(|e| Error::at(path, e))
}

/// Writes a file whole, or prints it where none is named.
fn write_or_print(path: Option<&Path>, text: &str) -> Result<()> {
    match path {
        Some(path) => cryptflow_program::write_whole(path, |writer| writer.write_all(text.as_bytes()))
            .map_err(|e| Error::at(path, e)),
        None => super::print(text),
    }
}
