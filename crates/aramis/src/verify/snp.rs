//! AMD SEV-SNP reports. `sev` reads them and checks signatures; the rest of what AMD's documents
//! ask of a verifier is here: dates, the revocation list, the product, and that the certificate is
//! for the versions and the chip that the report names.

mod certificates;
mod crl;

use std::collections::BTreeSet;

use sev::certs::snp::{Chain, Verifiable as _};
use sev::firmware::guest::AttestationReport;
use sev::firmware::host::TcbVersion;
use sev::parser::ByteParser as _;

use self::certificates::Vcek;
use super::Found;
use crate::appraisal::{Measurement, TcbStatus, TeeKind};
use crate::collateral::Collateral;
use crate::evidence::{EvidenceError, SNP_REPORT_BYTES};
use crate::hex::{self, Hex};
use crate::policy::{Policy, Product, SnpMinimum};
use crate::refusal::Refusal;

const TEE: TeeKind = TeeKind::Snp;

/// The one signature algorithm: ECDSA over P-384 with SHA-384.
const ECDSA_P384_SHA384: u32 = 1;

fn malformed(reason: impl ToString) -> Refusal {
    Refusal::Malformed { tee: TEE, reason: reason.to_string() }
}

fn unsigned(reason: impl ToString) -> Refusal {
    Refusal::Signature { tee: TEE, reason: reason.to_string() }
}

/// Reads a report.
pub(crate) fn parse(bytes: &[u8]) -> Result<AttestationReport, EvidenceError> {
    if bytes.len() != SNP_REPORT_BYTES {
        return Err(EvidenceError::ReportLength(bytes.len()));
    }
    AttestationReport::from_bytes(bytes).map_err(|e| EvidenceError::Report(e.to_string()))
}

pub(super) fn verify(
    bytes: &[u8],
    table: &[u8],
    collateral: &Collateral,
    policy: &Policy,
    now: u64,
) -> Result<Found, Refusal> {
    let report = parse(bytes).map_err(malformed)?;
    if report.sig_algo != ECDSA_P384_SHA384
        || report.key_info.mask_chip_key()
        || report.key_info.signing_key() != 0
    {
        return Err(malformed(
            "the report is not signed with a chip's own key (VCEK), the only one that is supported",
        ));
    }
    let der =
        certificates::vcek(table, &report.chip_id, collateral).map_err(malformed)?.ok_or_else(|| {
            Refusal::CollateralMissing {
                tee: TEE,
                platform: format!("chip {} (its VCEK certificate)", hex::encode(chip(&report.chip_id))),
            }
        })?;
    let vcek = Vcek::parse(der).map_err(malformed)?;
    let product = vcek.product;
    let amd = collateral
        .amd
        .get(&product)
        .ok_or_else(|| Refusal::CollateralMissing { tee: TEE, platform: product.to_string() })?;

    let ca = certificates::authority(product).map_err(malformed)?;
    certificates::check_dates(&ca, &vcek, now)?;
    let chain = Chain { ca, vek: vcek.certificate.clone() };
    (&chain, &report).verify().map_err(unsigned)?;
    // That call encodes the report anew, and so does not see bits that no field holds.
    if report.to_bytes().map_err(malformed)?.as_slice() != bytes {
        return Err(unsigned("reserved bits are set that the signature does not cover"));
    }
    crl::check(&amd.crl, &chain, now)?;

    if vcek.tcb != report.reported_tcb {
        return Err(unsigned(format!(
            "the certificate is for versions {}, the report says {}",
            versions(&vcek.tcb),
            versions(&report.reported_tcb)
        )));
    }
    // A chip can be told to leave its number out of reports; its certificate has it in any case.
    if report.chip_id != [0; 64] && chip(&report.chip_id) != chip(&vcek.chip_id) {
        return Err(unsigned("the certificate is another chip's"));
    }
    if report.policy.debug_allowed() {
        return Err(Refusal::Debug { tee: TEE, reason: "its policy allows debugging".to_owned() });
    }
    if report.policy.migrate_ma_allowed() {
        return Err(Refusal::Debug { tee: TEE, reason: "its policy allows a migration agent".to_owned() });
    }
    check_versions(&report, product, policy)?;
    let smt = report.plat_info.smt_enabled() && !policy.tcb.allow_smt;
    Ok(Found {
        measurement: measurement(&report),
        report_data: report.report_data,
        status: TcbStatus::AtLeastMinimum,
        advisories: BTreeSet::new(),
        platform_ids: vec![chip(&vcek.chip_id).to_vec()],
        setting: smt.then_some("shares its cores between hardware threads (SMT; tcb.allow_smt)"),
        evaluation_number: None,
        collateral_issued: amd.fetched,
    })
}

/// What a report says it measured; not verified.
pub(crate) fn measurement(report: &AttestationReport) -> Measurement {
    Measurement::Guest {
        measurement: Hex(report.measurement),
        host_data: Hex(report.host_data),
        id_key_digest: Hex(report.id_key_digest),
        guest_svn: report.guest_svn,
        vmpl: report.vmpl,
    }
}

/// A chip's number: 8 bytes and zeros on Turin, 64 bytes before.
pub(crate) fn chip(id: &[u8; 64]) -> &[u8] {
    match id.split_at(8) {
        (short, rest) if rest.iter().all(|byte| *byte == 0) => short,
        _ => id,
    }
}

/// Both what signed the report and what launched the guest must be new enough: what an old platform
/// launched may have been changed there.
fn check_versions(report: &AttestationReport, product: Product, policy: &Policy) -> Result<(), Refusal> {
    let refuse = |reason: String| {
        Err(Refusal::Tcb { tee: TEE, status: TcbStatus::OutOfDate, advisories: Vec::new(), reason })
    };
    let Some(minimum) = policy.tcb.snp.get(&product) else {
        return refuse(format!(": there are no least versions for {product} in [tcb.snp]"));
    };
    for (what, tcb) in [("reports", &report.reported_tcb), ("launched the guest with", &report.launch_tcb)] {
        if !is_at_least(tcb, minimum) {
            return refuse(format!(
                ": it {what} {}, the policy wants {}",
                versions(tcb),
                versions(&TcbVersion {
                    fmc: tcb.fmc.map(|_| minimum.fmc),
                    bootloader: minimum.bootloader,
                    tee: minimum.tee,
                    snp: minimum.snp,
                    microcode: minimum.microcode,
                })
            ));
        }
    }
    Ok(())
}

fn is_at_least(tcb: &TcbVersion, minimum: &SnpMinimum) -> bool {
    tcb.bootloader >= minimum.bootloader
        && tcb.tee >= minimum.tee
        && tcb.snp >= minimum.snp
        && tcb.microcode >= minimum.microcode
        && tcb.fmc.unwrap_or(0) >= minimum.fmc
}

pub(crate) fn versions(tcb: &TcbVersion) -> String {
    let fmc = tcb.fmc.map(|fmc| format!("fmc {fmc}, ")).unwrap_or_default();
    format!(
        "{fmc}bootloader {}, tee {}, snp {}, microcode {}",
        tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode
    )
}
