//! What a piece of evidence says, without asking whether it is true: for people who look at
//! evidence, and to write a policy from it.

use std::fmt;

use dcap_qvl::quote::{Quote, Report};
use serde::Serialize;

use crate::appraisal::{Measurement, TeeKind};
use crate::collateral::CaKind;
use crate::evidence::{Evidence, EvidenceError};
use crate::hex::{self, Hex};
use crate::report_data::ReportData;
use crate::verify::{dcap, snp};

/// What evidence says. **Nothing of it is verified.**
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// The kind of hardware.
    pub tee: TeeKind,
    /// What ran.
    pub measurement: Measurement,
    /// The 64 bytes that the program chose.
    pub report_data: ReportData,
    /// Whether its host can look into it.
    pub debug: bool,
    /// Which machine, where the evidence says it.
    #[serde(with = "hex::bytes")]
    pub platform_id: Vec<u8>,
    /// Where to get collateral.
    pub source: Source,
}

/// What it takes to fetch collateral.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Intel: the family of platforms, and who signs its certificates.
    Intel {
        /// The family.
        fmspc: Hex<6>,
        /// The signer.
        ca: CaKind,
    },
    /// AMD: versions of the platform's parts, as the report has them.
    Amd {
        /// Boot loader, tee, snp, microcode; and fmc on Turin.
        tcb: String,
        /// Processor family and model, in reports that have them.
        cpu: Option<(u8, u8)>,
    },
}

impl Evidence {
    /// Reads the evidence without verifying anything.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn contents(&self) -> Result<Contents, EvidenceError> {
        match self {
            Evidence::Sgx { quote } | Evidence::Tdx { quote } | Evidence::InsecureSimulated { quote } => {
                intel_contents(self.tee(), quote)
            }
            Evidence::Snp { report, .. } => {
                let report = snp::parse(report)?;
                Ok(Contents {
                    tee: TeeKind::Snp,
                    measurement: snp::measurement(&report),
                    report_data: ReportData(report.report_data),
                    debug: report.policy.debug_allowed(),
                    platform_id: snp::chip(&report.chip_id).to_vec(),
                    source: Source::Amd {
                        tcb: snp::versions(&report.reported_tcb),
                        cpu: report.cpuid_fam_id.zip(report.cpuid_mod_id),
                    },
                })
            }
        }
    }
}

fn intel_contents(tee: TeeKind, quote: &[u8]) -> Result<Contents, EvidenceError> {
    let quote = Quote::parse(quote).map_err(|e| EvidenceError::Quote(format!("{e:#}")))?;
    let (pck, ca) = dcap::platform(&quote)?;
    let debug = match &quote.report {
        Report::SgxEnclave(report) => report.attributes.first().is_some_and(|byte| byte & 2 != 0),
        Report::TD10(td) => td.td_attributes.first().is_some_and(|byte| byte & 1 != 0),
        Report::TD15(td) => td.base.td_attributes.first().is_some_and(|byte| byte & 1 != 0),
        Report::TD15Ex(td) => td.base.base.td_attributes.first().is_some_and(|byte| byte & 1 != 0),
    };
    Ok(Contents {
        tee,
        measurement: dcap::measurement(&quote.report),
        report_data: ReportData(dcap::report_data(&quote.report)),
        debug,
        platform_id: pck.platform_instance_id.unwrap_or(pck.ppid),
        source: Source::Intel { fmspc: Hex(pck.fmspc), ca },
    })
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tee            {}", self.tee)?;
        match &self.measurement {
            Measurement::Enclave { mrenclave, mrsigner, prod_id, svn } => {
                writeln!(f, "mrenclave      {mrenclave}\nmrsigner       {mrsigner}")?;
                writeln!(f, "prod_id        {prod_id}\nsvn            {svn}")?;
            }
            Measurement::TrustDomain { mrtd, rtmr, mrseam } => {
                writeln!(f, "mrtd           {mrtd}")?;
                for (number, register) in rtmr.iter().enumerate() {
                    writeln!(f, "rtmr{number}          {register}")?;
                }
                writeln!(f, "mrseam         {mrseam}")?;
            }
            Measurement::Guest { measurement, host_data, id_key_digest, guest_svn, vmpl } => {
                writeln!(f, "measurement    {measurement}\nhost_data      {host_data}")?;
                writeln!(
                    f,
                    "id_key_digest  {id_key_digest}\nguest_svn      {guest_svn}\nvmpl           {vmpl}"
                )?;
            }
        }
        writeln!(f, "report data    {}", self.report_data)?;
        writeln!(f, "debug          {}", if self.debug { "YES: its host can look into it" } else { "no" })?;
        writeln!(f, "platform       {}", hex::encode(&self.platform_id))?;
        match &self.source {
            Source::Intel { fmspc, ca } => write!(f, "FMSPC          {fmspc}, {ca:?} CA"),
            Source::Amd { tcb, cpu } => {
                write!(f, "versions       {tcb}")?;
                match cpu {
                    Some((family, model)) => {
                        write!(f, "\nprocessor      family {family:#x}, model {model:#x}")
                    }
                    None => Ok(()),
                }
            }
        }
    }
}
