//! `cryptflow attest policy`: writes a policy.

use std::path::PathBuf;

use clap::Args;
use cryptflow::attest::policy::{self, Recipe};
use cryptflow::error::{Error, Result};
use cryptflow_aramis::hex;

/// Write a policy from measurements, as strict as it can be for them.
#[derive(Args)]
pub(super) struct Arguments {
    /// What a party may run: `p0=sgx:DIGITS`, `p0=snp:DIGITS`, `p0=insecure-simulated:DIGITS` (as
    /// `measure` prints them), or `p0=FILE` with a file of evidence from a run that you trust. May
    /// be repeated; every party needs one.
    #[arg(long = "party", required = true, value_name = "PARTY=WHAT")]
    parties: Vec<String>,
    /// Intel's verdict to allow beside UpToDate, such as SWHardeningNeeded. May be repeated.
    #[arg(long, value_name = "STATUS")]
    allow_status: Vec<String>,
    /// A known weakness to accept, and why it does not matter. May be repeated.
    #[arg(long, value_name = "ID=REASON")]
    accept_advisory: Vec<String>,
    /// The least versions of an AMD platform: `milan=BOOTLOADER,TEE,SNP,MICROCODE` (turin: and
    /// FMC). May be repeated.
    #[arg(long, value_name = "PRODUCT=VERSIONS")]
    snp_minimum: Vec<String>,
    /// Allow two hardware threads to share a core.
    #[arg(long)]
    allow_smt: bool,
    /// Allow platforms to which packages can be added later (servers with several sockets,
    /// usually).
    #[arg(long)]
    allow_dynamic_platform: bool,
    /// Allow platforms whose root keys Intel keeps a copy of (those registered with it, usually).
    #[arg(long)]
    allow_cached_keys: bool,
    /// Allow only the machines that the files of evidence come from. It is what helps against
    /// attestation keys that were taken out of some other machine.
    #[arg(long)]
    pin_platforms: bool,
    /// The least number of Intel's assessment (tcbEvaluationDataNumber).
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    min_evaluation_number: u32,
    /// Allow simulated hardware, which protects nothing.
    #[arg(long)]
    insecure_simulated_tee: bool,
    /// Where to write it; standard output, otherwise.
    #[arg(short, long)]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let policy = policy::write(&Recipe {
        parties: arguments.parties.clone(),
        allow_status: arguments.allow_status.clone(),
        accept_advisory: arguments.accept_advisory.clone(),
        snp_minimum: arguments.snp_minimum.clone(),
        allow_smt: arguments.allow_smt,
        allow_cached_keys: arguments.allow_cached_keys,
        allow_dynamic_platform: arguments.allow_dynamic_platform,
        pin_platforms: arguments.pin_platforms,
        min_evaluation_number: arguments.min_evaluation_number,
        insecure_simulated: arguments.insecure_simulated_tee,
    })?;
    let mut text = String::from(
        "# What counts as a proof. The same at every participant: sessions start only if the digests agree.\n",
    );
    text += &format!("# digest {}\n", hex::encode(&policy.digest()));
    text += &policy.to_toml().map_err(Error::new)?;
    super::write_or_print(arguments.output.as_deref(), &text)
}
