//! Judging evidence.

pub(crate) mod dcap;
pub(crate) mod snp;

use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::appraisal::{Appraisal, Measurement, TcbStatus, TeeKind};
use crate::collateral::{Collateral, unix_seconds};
use crate::evidence::Evidence;
use crate::policy::{PartyRules, PlatformId, Policy, SgxRule};
use crate::refusal::Refusal;
use crate::report_data::ReportData;
use crate::role::Role;
use crate::simulated::SimulatedTrust;

pub(crate) use self::dcap::Root;

/// Whose signatures count. Intel's and AMD's root certificates are part of this program.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    simulated: Option<SimulatedTrust>,
}

impl Roots {
    /// The manufacturers', and nothing else.
    pub fn manufacturers() -> Roots {
        Roots::default()
    }

    /// Also evidence that the keys of a folder signed, which protects nothing. The policy must
    /// allow it, too.
    #[must_use]
    pub fn with_insecure_simulated(mut self, trust: SimulatedTrust) -> Roots {
        self.simulated = Some(trust);
        self
    }

    /// Whether simulated evidence could be accepted.
    pub fn allows_insecure_simulated(&self) -> bool {
        self.simulated.is_some()
    }
}

/// A policy with what it takes to apply it.
#[derive(Clone, Debug)]
pub struct Verifier {
    policy: Policy,
    collateral: Collateral,
    roots: Roots,
}

/// What a kind's own verification has found, all of it signed; the policy has yet to say.
struct Found {
    measurement: Measurement,
    report_data: [u8; 64],
    status: TcbStatus,
    advisories: BTreeSet<String>,
    /// All numbers that the machine has; the first is shown.
    platform_ids: Vec<Vec<u8>>,
    /// Settings of the platform that the policy's switches do not allow.
    setting: Option<&'static str>,
    /// Intel's number of its assessment.
    evaluation_number: Option<u32>,
    /// Seconds since 1970 at which the manufacturer last said something (AMD: when it was fetched).
    collateral_issued: u64,
}

impl Verifier {
    /// A verifier for `policy`.
    pub fn new(policy: Policy, collateral: Collateral, roots: Roots) -> Verifier {
        Verifier { policy, collateral, roots }
    }

    /// What it goes by.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether simulated evidence could be accepted: root and policy both allow it.
    pub fn allows_insecure_simulated(&self) -> bool {
        self.roots.allows_insecure_simulated() && self.policy.simulated.insecure_allow
    }

    /// Judges `evidence` of `role`, which must have been made for `expected`, as of the time `now`.
    ///
    /// # Errors
    /// Why it is refused. Nothing of refused evidence should be used.
    pub fn verify(
        &self,
        evidence: &Evidence,
        expected: &ReportData,
        role: Role,
        now: SystemTime,
    ) -> Result<Appraisal, Refusal> {
        let tee = evidence.tee();
        let rules = self.policy.party(role).ok_or(Refusal::UnknownRole { role })?;
        let now = unix_seconds(now);
        let listed = match tee {
            TeeKind::Sgx => !rules.sgx.is_empty(),
            TeeKind::Tdx => !rules.tdx.is_empty(),
            TeeKind::Snp => !rules.snp.is_empty(),
            TeeKind::InsecureSimulated => {
                self.simulated_trust(role)?;
                !rules.simulated.is_empty()
            }
        };
        if !listed {
            return Err(Refusal::TeeNotAllowed { role, tee });
        }
        let found = match evidence {
            Evidence::Sgx { quote } | Evidence::Tdx { quote } => {
                dcap::verify(quote, tee, &dcap::INTEL_ROOT, &self.collateral, &self.policy, now)?
            }
            Evidence::Snp { report, certificates } => {
                snp::verify(report, certificates, &self.collateral, &self.policy, now)?
            }
            Evidence::InsecureSimulated { quote } => {
                let trust = self.simulated_trust(role)?;
                dcap::verify(quote, tee, &trust.root_ca, &trust.collateral, &self.policy, now)?
            }
        };
        self.judge(found, tee, rules, expected, role, now)
    }

    fn simulated_trust(&self, role: Role) -> Result<&SimulatedTrust, Refusal> {
        if !self.policy.simulated.insecure_allow {
            let why = "the policy does not allow it ([insecure-simulated-tee] insecure_allow)";
            return Err(Refusal::SimulatedNotAllowed { role, why });
        }
        let why = "this verifier was not started with --insecure-simulated-tee";
        self.roots.simulated.as_ref().ok_or(Refusal::SimulatedNotAllowed { role, why })
    }

    fn judge(
        &self,
        found: Found,
        tee: TeeKind,
        rules: &PartyRules,
        expected: &ReportData,
        role: Role,
        now: u64,
    ) -> Result<Appraisal, Refusal> {
        if found.report_data != expected.0 {
            return Err(Refusal::Binding { role });
        }
        if !is_listed(&found.measurement, tee, rules) {
            return Err(Refusal::Measurement { role, measured: Box::new(found.measurement) });
        }
        let platform_id = found.platform_ids.first().cloned().unwrap_or_default();
        if let Some(allow) = &self.policy.platform.allow
            && !found.platform_ids.iter().any(|id| allow.contains(&PlatformId(id.clone())))
        {
            return Err(Refusal::Platform { tee, id: platform_id });
        }
        let tcb = &self.policy.tcb;
        if let Some(number) = found.evaluation_number
            && number < tcb.min_evaluation_number
        {
            return Err(Refusal::EvaluationNumber { tee, found: number, wanted: tcb.min_evaluation_number });
        }
        if found.status != TcbStatus::AtLeastMinimum && !tcb.allow_status.contains(&found.status) {
            let advisories = found.advisories.into_iter().collect();
            return Err(Refusal::Tcb { tee, status: found.status, advisories, reason: String::new() });
        }
        let accepted = |id: &String| tcb.accept_advisory.iter().any(|accepted| accepted.id == *id);
        let advisories: Vec<String> = found.advisories.iter().filter(|id| !accepted(id)).cloned().collect();
        if !advisories.is_empty() {
            return Err(Refusal::Advisory { tee, advisories });
        }
        if let Some(setting) = found.setting {
            return Err(Refusal::PlatformSetting { tee, setting });
        }
        let age_hours = now.saturating_sub(found.collateral_issued) / 3600;
        let allowed_hours = self.policy.freshness.collateral_max_age_hours;
        if age_hours >= allowed_hours {
            return Err(Refusal::CollateralTooOld { tee, age_hours, allowed_hours });
        }
        Ok(Appraisal {
            tee,
            measurement: found.measurement,
            status: found.status,
            advisories: found.advisories,
            platform_id,
            simulated: tee == TeeKind::InsecureSimulated,
        })
    }
}

fn is_listed(measured: &Measurement, tee: TeeKind, rules: &PartyRules) -> bool {
    match measured {
        Measurement::Enclave { mrenclave, mrsigner, prod_id, svn } => {
            let rules = if tee == TeeKind::InsecureSimulated { &rules.simulated } else { &rules.sgx };
            rules.iter().any(|rule| match rule {
                SgxRule::Enclave(listed) => listed == mrenclave,
                SgxRule::Signer { mrsigner: signer, prod_id: product, min_svn } => {
                    signer == mrsigner && product == prod_id && svn >= min_svn
                }
            })
        }
        Measurement::TrustDomain { mrtd, rtmr, mrseam } => rules.tdx.iter().any(|rule| {
            rule.mrtd == *mrtd
                && [rule.rtmr0, rule.rtmr1, rule.rtmr2, rule.rtmr3] == *rtmr
                && rule.mrseam.is_none_or(|listed| listed == *mrseam)
        }),
        Measurement::Guest { measurement, host_data, id_key_digest, guest_svn, vmpl } => {
            rules.snp.iter().any(|rule| {
                rule.measurement == *measurement
                    && rule.host_data.is_none_or(|listed| listed == *host_data)
                    && rule.id_key_digest.is_none_or(|listed| listed == *id_key_digest)
                    && *guest_svn >= rule.min_guest_svn
                    && *vmpl == rule.vmpl
            })
        }
    }
}
