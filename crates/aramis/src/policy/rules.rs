//! The parts of a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::PolicyError;
use crate::appraisal::TcbStatus;
use crate::hex::{self, Hex};

/// One block for each party. The client proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parties {
    /// Party 0.
    pub p0: PartyRules,
    /// Party 1.
    pub p1: PartyRules,
    /// Party 2.
    pub p2: PartyRules,
}

/// What a party may be. Any one of the entries, of any kind, is enough; a kind without entries is
/// not allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartyRules {
    /// Intel SGX enclaves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sgx: Vec<SgxRule>,
    /// Intel TDX trust domains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tdx: Vec<TdxRule>,
    /// AMD SEV-SNP guests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snp: Vec<SnpRule>,
    /// Executables on no trusted hardware at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "insecure-simulated")]
    pub simulated: Vec<SgxRule>,
}

impl PartyRules {
    pub(super) fn is_empty(&self) -> bool {
        self.sgx.is_empty() && self.tdx.is_empty() && self.snp.is_empty() && self.simulated.is_empty()
    }

    pub(super) fn normalise(&mut self) {
        fn unique<T: Ord>(rules: &mut Vec<T>) {
            rules.sort();
            rules.dedup();
        }
        unique(&mut self.sgx);
        unique(&mut self.tdx);
        unique(&mut self.snp);
        unique(&mut self.simulated);
    }
}

/// An enclave: by its exact measurement, or by who signed it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SgxText", into = "SgxText")]
pub enum SgxRule {
    /// Exactly this program.
    Enclave(Hex<32>),
    /// Any program that this signer gave this product number, from this version on.
    Signer {
        /// SHA-256 of the signer's key.
        mrsigner: Hex<32>,
        /// The product.
        prod_id: u16,
        /// The least version.
        min_svn: u16,
    },
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SgxText {
    #[serde(skip_serializing_if = "Option::is_none")]
    mrenclave: Option<Hex<32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mrsigner: Option<Hex<32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prod_id: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_svn: Option<u16>,
}

impl TryFrom<SgxText> for SgxRule {
    type Error = &'static str;

    fn try_from(text: SgxText) -> Result<SgxRule, &'static str> {
        match (text.mrenclave, text.mrsigner, text.prod_id, text.min_svn) {
            (Some(mrenclave), None, None, None) => Ok(SgxRule::Enclave(mrenclave)),
            (None, Some(mrsigner), Some(prod_id), Some(min_svn)) => {
                Ok(SgxRule::Signer { mrsigner, prod_id, min_svn })
            }
            _ => Err("an enclave is listed with mrenclave alone, or with mrsigner, prod_id and min_svn"),
        }
    }
}

impl From<SgxRule> for SgxText {
    fn from(rule: SgxRule) -> SgxText {
        let empty = SgxText { mrenclave: None, mrsigner: None, prod_id: None, min_svn: None };
        match rule {
            SgxRule::Enclave(mrenclave) => SgxText { mrenclave: Some(mrenclave), ..empty },
            SgxRule::Signer { mrsigner, prod_id, min_svn } => {
                SgxText { mrsigner: Some(mrsigner), prod_id: Some(prod_id), min_svn: Some(min_svn), ..empty }
            }
        }
    }
}

/// A trust domain. All registers are needed: firmware, kernel, command line and disk are in
/// different ones, and whatever is not compared may be anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TdxRule {
    /// The virtual firmware.
    pub mrtd: Hex<48>,
    /// What the firmware measured of itself and its settings.
    pub rtmr0: Hex<48>,
    /// Boot loader or kernel.
    pub rtmr1: Hex<48>,
    /// Command line and initrd.
    pub rtmr2: Hex<48>,
    /// What the system measured later; zero where it measured nothing.
    pub rtmr3: Hex<48>,
    /// The TDX module, where only one is to be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mrseam: Option<Hex<48>>,
}

/// An SEV-SNP guest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnpRule {
    /// The launch measurement.
    pub measurement: Hex<48>,
    /// What the hypervisor must have said at launch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_data: Option<Hex<32>>,
    /// The key that must have signed the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_key_digest: Option<Hex<48>>,
    /// The least version of the image.
    #[serde(default)]
    pub min_guest_svn: u32,
    /// The privilege level that must have asked for the report.
    #[serde(default)]
    pub vmpl: u32,
}

/// Which states of security are good enough. The defaults accept nothing but platforms without
/// known weaknesses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TcbRules {
    /// Intel's verdicts that are accepted.
    pub allow_status: BTreeSet<TcbStatus>,
    /// Known weaknesses that are accepted although they are not mended. All that a platform has
    /// must be here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accept_advisory: Vec<AcceptedAdvisory>,
    /// Intel numbers its assessments. A host could otherwise show an old one, still valid, that
    /// does not know the latest weaknesses.
    pub min_evaluation_number: u32,
    /// Whether two hardware threads may share a core of the platform.
    pub allow_smt: bool,
    /// Whether packages may be added to the platform later (SGX, TDX).
    pub allow_dynamic_platform: bool,
    /// Whether Intel keeps a copy of the platform's root keys (SGX, TDX).
    pub allow_cached_keys: bool,
    /// The least versions of AMD's platforms. A product without is refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub snp: BTreeMap<Product, SnpMinimum>,
}

impl Default for TcbRules {
    fn default() -> Self {
        TcbRules {
            allow_status: BTreeSet::from([TcbStatus::UpToDate]),
            accept_advisory: Vec::new(),
            min_evaluation_number: 0,
            allow_smt: false,
            allow_dynamic_platform: false,
            allow_cached_keys: false,
            snp: BTreeMap::new(),
        }
    }
}

impl TcbRules {
    pub(super) fn check(&self) -> Result<(), PolicyError> {
        let wrong = |at: &str, reason: String| Err(PolicyError::Rule { at: at.to_owned(), reason });
        for status in &self.allow_status {
            if let TcbStatus::Revoked | TcbStatus::AtLeastMinimum = status {
                return wrong("tcb.allow_status", format!("{status} cannot be allowed"));
            }
        }
        for accepted in &self.accept_advisory {
            if accepted.reason.trim().is_empty() {
                return wrong("tcb.accept_advisory", format!("{} is accepted without a reason", accepted.id));
            }
        }
        let mut ids: Vec<&str> = self.accept_advisory.iter().map(|accepted| accepted.id.as_str()).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
            Some(twice) => wrong("tcb.accept_advisory", format!("{} is there twice", twice.concat())),
            None => Ok(()),
        }
    }
}

/// A weakness that is accepted, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedAdvisory {
    /// The manufacturer's number, such as INTEL-SA-00615.
    pub id: String,
    /// Why it does not matter here. Never empty.
    pub reason: String,
}

/// AMD's processors with SEV-SNP, as its key service names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004 and 8004.
    Genoa,
    /// EPYC 9005.
    Turin,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The least versions of a platform's parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnpMinimum {
    /// Boot loader of the security processor.
    pub bootloader: u8,
    /// Its operating system.
    pub tee: u8,
    /// The SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub microcode: u8,
    /// The security processor's first mutable code (Turin only).
    #[serde(default)]
    pub fmc: u8,
}

/// Which machines may take part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platforms {
    /// Intel's platform instance ids or PPIDs, AMD's chip ids, as hexadecimal digits. Without it,
    /// any machine may. It is the one rule that helps against attestation keys that were taken out
    /// of some other machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<BTreeSet<PlatformId>>,
}

impl Platforms {
    pub(super) fn check(&self) -> Result<(), PolicyError> {
        match &self.allow {
            Some(allow) if allow.is_empty() => Err(PolicyError::Rule {
                at: "platform.allow".to_owned(),
                reason: "the list is empty, so that nothing could ever be accepted; leave it out to accept any machine".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// A machine's number: 16 bytes (Intel) or 64 (AMD; 8 of them on Turin).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlatformId(#[serde(with = "hex::bytes")] pub Vec<u8>);

/// How old what may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Freshness {
    /// Hours since the manufacturer signed its assessments (AMD: since they were fetched). Its own
    /// dates of expiry hold in any case.
    pub collateral_max_age_hours: u64,
    /// Seconds after which a party must prove itself anew.
    pub reattest_seconds: u64,
}

impl Default for Freshness {
    fn default() -> Self {
        Freshness { collateral_max_age_hours: 168, reattest_seconds: 600 }
    }
}

impl Freshness {
    pub(super) fn check(&self) -> Result<(), PolicyError> {
        let wrong = |at: &str| {
            Err(PolicyError::Rule { at: at.to_owned(), reason: "zero would refuse everything".to_owned() })
        };
        match (self.collateral_max_age_hours, self.reattest_seconds) {
            (0, _) => wrong("freshness.collateral_max_age_hours"),
            (_, 0) => wrong("freshness.reattest_seconds"),
            _ => Ok(()),
        }
    }
}

/// Whether simulated hardware may take part, which protects nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedRules {
    /// Allows evidence that keys in a folder signed. The verifier must also be started with that
    /// folder's root.
    #[serde(default)]
    pub insecure_allow: bool,
}
