//! Intel's quotes (SGX, TDX), with `dcap-qvl`. The simulated TEE's quotes take the same way, from
//! another root.
//!
//! That library decides; its errors are texts. [`explain`] only finds the name for a refusal that
//! has been decided.

use std::borrow::Cow;
use std::collections::BTreeSet;

use dcap_qvl::intel::PckExtension;
use dcap_qvl::quote::{Quote, Report};
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{PckCertFlag, QuotePolicy, TcbStatus as IntelStatus, intel};
use serde::Deserialize;

use super::Found;
use crate::appraisal::{Measurement, TcbStatus, TeeKind};
use crate::collateral::{CaKind, Collateral};
use crate::der;
use crate::evidence::EvidenceError;
use crate::hex::{self, Hex};
use crate::policy::Policy;
use crate::refusal::Refusal;

/// A root certificate, DER.
pub(crate) type Root = Cow<'static, [u8]>;

/// Intel SGX Root CA:
/// `https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.cer`.
pub(crate) static INTEL_ROOT: Root = Cow::Borrowed(include_bytes!("intel-sgx-root-ca.der"));

/// A setting of a platform, as its certificate says that it has it, or does not say whether.
struct Setting {
    has: &'static str,
    may_have: &'static str,
}

const SMT: Setting = Setting {
    has: "shares its cores between hardware threads (SMT; tcb.allow_smt)",
    may_have: "has a certificate that does not say whether it shares its cores between hardware threads (SMT; tcb.allow_smt)",
};

const DYNAMIC_PLATFORM: Setting = Setting {
    has: "can be extended by further packages (tcb.allow_dynamic_platform)",
    may_have: "has a certificate that does not say whether it can be extended by further packages (tcb.allow_dynamic_platform)",
};

const CACHED_KEYS: Setting = Setting {
    has: "has its root keys kept by Intel (tcb.allow_cached_keys)",
    may_have: "has a certificate that does not say whether its root keys are kept by Intel (tcb.allow_cached_keys)",
};

impl Setting {
    /// What is not said may be.
    fn found(&self, flag: PckCertFlag) -> Option<&'static str> {
        match flag {
            PckCertFlag::False => None,
            PckCertFlag::True => Some(self.has),
            PckCertFlag::Undefined => Some(self.may_have),
        }
    }
}

pub(super) fn verify(
    quote: &[u8],
    tee: TeeKind,
    root: &Root,
    collateral: &Collateral,
    policy: &Policy,
    now: u64,
) -> Result<Found, Refusal> {
    let malformed = |reason: String| Refusal::Malformed { tee, reason };
    let parsed = Quote::parse(quote).map_err(|e| malformed(e.to_string()))?;
    // A simulated quote is an SGX quote, and its collateral is SGX's.
    let genuine = if tee == TeeKind::InsecureSimulated { TeeKind::Sgx } else { tee };
    if parsed.report.is_sgx() != (genuine == TeeKind::Sgx) {
        return Err(malformed("the quote is of another kind".to_owned()));
    }
    let (PckExtension { fmspc, .. }, ca) = platform(&parsed).map_err(|e| malformed(e.to_string()))?;
    let collateral = collateral.intel(genuine, fmspc, ca).ok_or_else(|| Refusal::CollateralMissing {
        tee,
        platform: format!("platforms with FMSPC {} of the {ca:?} CA", hex::encode(&fmspc)),
    })?;
    let quote_collateral = &collateral.quote_collateral;
    for (what, list) in [("root", &quote_collateral.root_ca_crl), ("platform", &quote_collateral.pck_crl)] {
        der::check(list).map_err(|e| Refusal::CollateralBroken {
            tee,
            reason: format!("the {what}'s revocation list: {e}"),
        })?;
    }

    let verify = |allow_debug: bool| {
        QuoteVerifier::new(root.to_vec()).allow_debug(allow_debug).verify_with_policy(
            quote,
            quote_collateral,
            now,
            // Ours judges later, with an error of its own for each rule.
            &QuotePolicy::claims_only(now),
        )
    };
    let claims = match verify(false) {
        Ok(claims) => claims,
        Err(error) => {
            let reason = format!("{error:#}");
            // Named so only if nothing else is wrong.
            if (reason.contains("Debug mode") || reason.contains("profiling")) && verify(true).is_ok() {
                return Err(Refusal::Debug { tee, reason });
            }
            return Err(explain(tee, reason));
        }
    };
    let pck = &claims.platform.pck;
    let mut platform_ids: Vec<Vec<u8>> = Vec::new();
    platform_ids.extend(pck.platform_instance_id.map(|id| id.to_vec()));
    platform_ids.push(pck.ppid.clone());
    let tcb = &policy.tcb;
    let setting = [
        (pck.smt_enabled, tcb.allow_smt, SMT),
        (pck.dynamic_platform, tcb.allow_dynamic_platform, DYNAMIC_PLATFORM),
        (pck.cached_keys, tcb.allow_cached_keys, CACHED_KEYS),
    ]
    .into_iter()
    .find_map(|(flag, allowed, setting)| setting.found(flag).filter(|_| !allowed));
    Ok(Found {
        measurement: measurement(&claims.report),
        report_data: report_data(&claims.report),
        status: status(claims.tcb.status),
        advisories: claims.tcb.advisory_ids.iter().cloned().collect::<BTreeSet<String>>(),
        platform_ids,
        setting,
        evaluation_number: Some(claims.tcb.eval_data_number),
        collateral_issued: issued(&quote_collateral.tcb_info)
            .zip(issued(&quote_collateral.qe_identity))
            .map(|(info, identity)| info.min(identity))
            .ok_or_else(|| Refusal::CollateralBroken { tee, reason: "no date of issue".to_owned() })?,
    })
}

/// What a quote's certificate says of its platform, and who signed it. The structure of the quote's
/// certificates has been checked, and nothing else.
pub(crate) fn platform(quote: &Quote) -> Result<(PckExtension, CaKind), EvidenceError> {
    let certificates = |e| EvidenceError::Certificates(format!("{e:#}"));
    let chain = intel::extract_cert_chain(quote).map_err(certificates)?;
    for certificate in &chain {
        der::check(certificate)?;
    }
    let leaf = chain.first().ok_or(EvidenceError::NoCertificate)?;
    let pck = intel::parse_pck_extension(leaf).map_err(certificates)?;
    let ca = intel::pck_ca(leaf).map_err(certificates)?;
    Ok((pck, CaKind::from(ca)))
}

fn status(status: IntelStatus) -> TcbStatus {
    match status {
        IntelStatus::UpToDate => TcbStatus::UpToDate,
        IntelStatus::SWHardeningNeeded => TcbStatus::SWHardeningNeeded,
        IntelStatus::ConfigurationNeeded => TcbStatus::ConfigurationNeeded,
        IntelStatus::ConfigurationAndSWHardeningNeeded => TcbStatus::ConfigurationAndSWHardeningNeeded,
        IntelStatus::OutOfDate => TcbStatus::OutOfDate,
        IntelStatus::OutOfDateConfigurationNeeded => TcbStatus::OutOfDateConfigurationNeeded,
        IntelStatus::Revoked => TcbStatus::Revoked,
        IntelStatus::TDRelaunchAdvised => TcbStatus::TDRelaunchAdvised,
        IntelStatus::TDRelaunchAdvisedConfigurationNeeded => TcbStatus::TDRelaunchAdvisedConfigurationNeeded,
    }
}

pub(crate) fn measurement(report: &Report) -> Measurement {
    match report {
        Report::SgxEnclave(report) => Measurement::Enclave {
            mrenclave: Hex(report.mr_enclave),
            mrsigner: Hex(report.mr_signer),
            prod_id: report.isv_prod_id,
            svn: report.isv_svn,
        },
        Report::TD10(td) => trust_domain(td),
        Report::TD15(td) => trust_domain(&td.base),
        Report::TD15Ex(td) => trust_domain(&td.base.base),
    }
}

fn trust_domain(td: &dcap_qvl::quote::TDReport10) -> Measurement {
    Measurement::TrustDomain {
        mrtd: Hex(td.mr_td),
        rtmr: [Hex(td.rt_mr0), Hex(td.rt_mr1), Hex(td.rt_mr2), Hex(td.rt_mr3)],
        mrseam: Hex(td.mr_seam),
    }
}

pub(crate) fn report_data(report: &Report) -> [u8; 64] {
    match report {
        Report::SgxEnclave(report) => report.report_data,
        Report::TD10(td) => td.report_data,
        Report::TD15(td) => td.base.report_data,
        Report::TD15Ex(td) => td.base.base.report_data,
    }
}

/// Seconds since 1970 of a document's `issueDate`; the library has checked the signature.
fn issued(document: &str) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Dated {
        issue_date: String,
    }
    let dated: Dated = serde_json::from_str(document).ok()?;
    let time: x509_cert::der::DateTime = dated.issue_date.parse().ok()?;
    Some(time.unix_duration().as_secs())
}

/// The name of a refusal for the library's text. What is not recognised counts as a signature that
/// does not hold.
fn explain(tee: TeeKind, reason: String) -> Refusal {
    type Name = fn(TeeKind, String) -> Refusal;
    let expired: Name = |tee, reason| Refusal::CollateralExpired { tee, reason };
    let early: Name = |tee, reason| Refusal::CollateralNotYetValid { tee, reason };
    let revoked: Name = |tee, reason| Refusal::Revoked { tee, reason };
    let outdated: Name = |tee, reason| Refusal::Tcb {
        tee,
        status: TcbStatus::OutOfDate,
        advisories: Vec::new(),
        reason: format!(": {reason}"),
    };
    let broken: Name = |tee, reason| Refusal::CollateralBroken { tee, reason };
    let debug: Name = |tee, reason| Refusal::Debug { tee, reason };
    let names: [(&str, Name); 24] = [
        ("TCBInfo expired", expired),
        ("QE Identity expired", expired),
        ("CrlExpired", expired),
        ("CertExpired", expired),
        ("in the future", early),
        ("CertNotValidYet", early),
        ("CertRevoked", revoked),
        ("TCB status is invalid: Revoked", revoked),
        ("No matching TCB level found", outdated),
        ("is below minimum required", outdated),
        ("Fmspc mismatch", broken),
        ("TcbInfo", broken),
        ("tcb_info", broken),
        ("TCB Info", broken),
        ("QeIdentity", broken),
        ("qe_identity", broken),
        ("QE Identity signer", broken),
        ("CRL", broken),
        ("UnknownRevocationStatus", broken),
        ("migration is enabled", debug),
        ("Invalid MR service TD", debug),
        ("Reserved bits in TD attributes", debug),
        ("SERVTD_EXT is enabled", debug),
        ("SEPT_VE_DISABLE is not enabled", debug),
    ];
    match names.iter().find(|(text, _)| reason.contains(text)) {
        Some((_, name)) => name(tee, reason),
        None => Refusal::Signature { tee, reason },
    }
}
