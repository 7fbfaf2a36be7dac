//! `cryptflow attest gather`: evidence of the machine that this command runs on.

use std::path::PathBuf;

use crate::error::{Error, Result};
use clap::Args;
use cryptflow_aramis::simulated::SimulatedTee;
use cryptflow_aramis::{Attester, ReportData, evidence};

/// Gather evidence on this machine, for `show`, `policy` and `fetch`.
///
/// Works inside of a TDX trust domain or an SEV-SNP guest (as root), and in an SGX enclave under
/// Gramine. On TDX and SEV-SNP the measurement is the machine's, and so the party's in the same
/// image; in an enclave it would be this command's own.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Where to write it (JSON); standard output, otherwise.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// The 64 bytes to have signed, as hexadecimal digits; zeros, otherwise, which are no
    /// session's.
    #[arg(long, value_name = "DIGITS", value_parser = super::report_data)]
    report_data: Option<ReportData>,
    /// Have the keys of this folder sign, which proves nothing.
    #[arg(long, value_name = "DIR")]
    insecure_simulated_tee: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let attester: Box<dyn Attester> = match &arguments.insecure_simulated_tee {
        Some(dir) => Box::new(SimulatedTee::open(dir).map_err(Error::new)?),
        None => evidence::detect().map_err(Error::new)?,
    };
    let data = arguments.report_data.unwrap_or(ReportData([0; 64]));
    let evidence = attester.evidence(&data).map_err(Error::new)?;
    let text = serde_json::to_string_pretty(&evidence).map_err(Error::new)? + "\n";
    super::write_or_print(arguments.output.as_deref(), &text)
}
