//! `cryptflow attest verify`: whether evidence is true, and good enough.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::notation;
use clap::Args;
use cryptflow_aramis::simulated::SimulatedTrust;
use cryptflow_aramis::{Appraisal, Collateral, Policy, ReportData, Role, Roots, Verifier};
use serde::Serialize;

/// Verify evidence: signatures, state of security, measurement, machine.
///
/// Exits with 0 only if the policy accepts it for some party (or for --role). Needs no network.
#[derive(Args)]
pub(crate) struct Arguments {
    /// A file of evidence: JSON, a quote (SGX, TDX), or a report (SEV-SNP), also as hexadecimal
    /// digits.
    file: PathBuf,
    /// The policy.
    #[arg(long)]
    policy: PathBuf,
    /// What manufacturers say of the platform (`cryptflow attest fetch`). Not needed for simulated
    /// evidence.
    #[arg(long)]
    collateral: Option<PathBuf>,
    /// The party that the evidence is of: p0, p1 or p2. Otherwise, any.
    #[arg(long, value_parser = role)]
    role: Option<Role>,
    /// The 64 bytes that the evidence must have been made for, as hexadecimal digits. Without, the
    /// evidence's own are taken: it is then verified what ran where, but not for which session, nor
    /// that it is fresh.
    #[arg(long, value_name = "DIGITS", value_parser = super::report_data)]
    report_data: Option<ReportData>,
    /// Verify as of this time, in seconds since 1970, or as a date (2026-03-01, midnight UTC).
    /// Otherwise, now.
    #[arg(long, value_parser = notation::time)]
    at: Option<SystemTime>,
    /// Accept evidence that the keys of this folder signed, which protects nothing. The policy must
    /// allow it, too.
    #[arg(long, value_name = "DIR")]
    insecure_simulated_tee: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

fn role(text: &str) -> std::result::Result<Role, String> {
    match text {
        "p0" => Ok(Role::Party(0)),
        "p1" => Ok(Role::Party(1)),
        "p2" => Ok(Role::Party(2)),
        _ => Err("p0, p1 or p2".to_owned()),
    }
}

#[derive(Serialize)]
struct Verdict {
    /// Parties that the policy accepts it for.
    accepted_for: Vec<String>,
    appraisal: Option<Appraisal>,
    /// Why not for the others.
    refused: Vec<(String, String)>,
    /// Whether --report-data was given and holds.
    binding_checked: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let evidence = super::read_evidence(&arguments.file)?;
    let contents = evidence.contents().map_err(|e| Error::at(&arguments.file, e))?;
    let policy =
        Policy::parse(&super::read_text(&arguments.policy)?).map_err(|e| Error::at(&arguments.policy, e))?;
    let collateral = match &arguments.collateral {
        Some(path) => Collateral::from_json(&super::read(path)?).map_err(|e| Error::at(path, e))?,
        None => Collateral::default(),
    };
    let mut roots = Roots::manufacturers();
    if let Some(dir) = &arguments.insecure_simulated_tee {
        roots = roots.with_insecure_simulated(SimulatedTrust::open(dir).map_err(Error::new)?);
    }
    let verifier = Verifier::new(policy, collateral, roots);
    let now = arguments.at.unwrap_or_else(SystemTime::now);
    let data = arguments.report_data.unwrap_or(contents.report_data);
    let roles = arguments.role.map_or_else(|| (0..3).map(Role::Party).collect(), |role| vec![role]);

    let mut verdict = Verdict {
        accepted_for: Vec::new(),
        appraisal: None,
        refused: Vec::new(),
        binding_checked: arguments.report_data.is_some(),
    };
    for role in roles {
        match verifier.verify(&evidence, &data, role, now) {
            Ok(appraisal) => {
                verdict.accepted_for.push(role.to_string());
                verdict.appraisal = Some(appraisal);
            }
            Err(refusal) => verdict.refused.push((role.to_string(), refusal.to_string())),
        }
    }
    let refused = || {
        let mut reasons: Vec<&str> = verdict.refused.iter().map(|(_, reason)| reason.as_str()).collect();
        reasons.dedup();
        Error::new(format_args!("refused: {}", reasons.join("\n  ")))
    };
    if arguments.json {
        crate::commands::print(&serde_json::to_string_pretty(&verdict).map_err(Error::new)?)?;
    }
    let Some(appraisal) = &verdict.appraisal else { return Err(refused()) };
    if arguments.json {
        return Ok(());
    }
    let mut text = format!("accepted for {}: {appraisal}\n", verdict.accepted_for.join(", "));
    if !verdict.binding_checked {
        text += "not checked: for which session and when it was made (--report-data)\n";
    }
    crate::commands::print(&text)
}
