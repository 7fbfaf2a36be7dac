//! What a verifier accepts: one TOML document, the same at every participant.
//!
//! ```toml
//! version = 1
//!
//! [[party.p0.sgx]]                 # P0 may run this enclave …
//! mrenclave = "…64 digits…"
//! [[party.p0.tdx]]                 # … or this trust domain
//! mrtd = "…96 digits…"
//! rtmr0 = "…"
//! rtmr1 = "…"
//! rtmr2 = "…"
//! rtmr3 = "…"
//! [[party.p1.snp]]
//! measurement = "…96 digits…"
//! [[party.p2.sgx]]                 # any enclave of this signer and product, from a version on
//! mrsigner = "…64 digits…"
//! prod_id = 1
//! min_svn = 3
//!
//! [tcb]
//! allow_status = ["UpToDate", "SWHardeningNeeded"]
//! min_evaluation_number = 20
//! allow_smt = true
//! [[tcb.accept_advisory]]
//! id = "INTEL-SA-00615"
//! reason = "the stale-data reads need a co-resident attacker; the party has its machine for itself"
//! [tcb.snp.milan]                  # AMD publishes no verdicts: the least versions
//! bootloader = 3
//! tee = 0
//! snp = 20
//! microcode = 209
//!
//! [platform]
//! allow = ["…platform instance id, PPID or chip id…"]
//!
//! [freshness]
//! collateral_max_age_hours = 168
//! reattest_seconds = 600
//! ```
//!
//! Whatever is not listed is refused. Fields that do not exist are errors, so that a slip of the
//! pen allows nothing.

mod rules;

use ring::digest;
use serde::{Deserialize, Serialize};

pub use self::rules::{
    AcceptedAdvisory, Freshness, Parties, PartyRules, PlatformId, Platforms, Product, SgxRule,
    SimulatedRules, SnpMinimum, SnpRule, TcbRules, TdxRule,
};
use crate::role::Role;

/// The format that this program reads.
const VERSION: u32 = 1;

/// What a verifier accepts of whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// 1.
    pub version: u32,
    /// What each party may run on what.
    pub party: Parties,
    /// Which states of security are good enough.
    #[serde(default)]
    pub tcb: TcbRules,
    /// Which machines.
    #[serde(default)]
    pub platform: Platforms,
    /// How old what may be.
    #[serde(default)]
    pub freshness: Freshness,
    /// Whether simulated hardware may take part.
    #[serde(default, rename = "insecure-simulated-tee")]
    pub simulated: SimulatedRules,
}

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It does not parse, or a rule contradicts itself.
    #[error("the policy is not valid: {0}")]
    Text(String),
    /// Another format.
    #[error("the policy has version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// A rule that could never hold, or that needs another one.
    #[error("the policy is not valid: {at}: {reason}")]
    Rule {
        /// Where in the document.
        at: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Policy {
    /// Reads a policy, and checks it.
    ///
    /// # Errors
    /// With the line, and what is wrong there.
    pub fn parse(text: &str) -> Result<Policy, PolicyError> {
        let mut policy: Policy = toml::from_str(text).map_err(|e| PolicyError::Text(e.to_string()))?;
        if policy.version != VERSION {
            return Err(PolicyError::Version(policy.version));
        }
        policy.check()?;
        policy.normalise();
        Ok(policy)
    }

    /// The document again, without comments.
    ///
    /// # Errors
    /// Where a number does not fit TOML.
    pub fn to_toml(&self) -> Result<String, PolicyError> {
        toml::to_string_pretty(self).map_err(|e| PolicyError::Text(e.to_string()))
    }

    /// SHA-256 over the policy's meaning: comments, white space, order, upper and lower case do not
    /// matter, and what is left out counts as its default.
    pub fn digest(&self) -> [u8; 32] {
        let mut canonical = self.clone();
        canonical.normalise();
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"cryptflow/aramis/policy/v1\0");
        // Structs and lists of strings and numbers always have a JSON form, with fields in the
        // order of the source; the other arm only spares a panic.
        match serde_json::to_vec(&canonical) {
            Ok(json) => context.update(&json),
            Err(_) => context.update(format!("{canonical:?}").as_bytes()),
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }

    /// The rules for a party.
    pub fn party(&self, role: Role) -> Option<&PartyRules> {
        match role {
            Role::Party(0) => Some(&self.party.p0),
            Role::Party(1) => Some(&self.party.p1),
            Role::Party(2) => Some(&self.party.p2),
            _ => None,
        }
    }

    fn parties(&self) -> [(&'static str, &PartyRules); 3] {
        [("party.p0", &self.party.p0), ("party.p1", &self.party.p1), ("party.p2", &self.party.p2)]
    }

    fn check(&self) -> Result<(), PolicyError> {
        let wrong =
            |at: &str, reason: &str| Err(PolicyError::Rule { at: at.to_owned(), reason: reason.to_owned() });
        for (at, party) in self.parties() {
            if party.is_empty() {
                return wrong(at, "no measurement is listed, so that nothing could ever be accepted");
            }
            if !party.simulated.is_empty() && !self.simulated.insecure_allow {
                return wrong(
                    at,
                    "insecure-simulated measurements are listed, but [insecure-simulated-tee] has no insecure_allow = true",
                );
            }
            if !party.snp.is_empty() && self.tcb.snp.is_empty() {
                return wrong(
                    at,
                    "SEV-SNP measurements are listed, but no least versions: add [tcb.snp.milan], [tcb.snp.genoa] or \
                     [tcb.snp.turin] with bootloader, tee, snp, microcode",
                );
            }
        }
        self.tcb.check()?;
        self.platform.check()?;
        self.freshness.check()
    }

    fn normalise(&mut self) {
        for party in [&mut self.party.p0, &mut self.party.p1, &mut self.party.p2] {
            party.normalise();
        }
        self.tcb.accept_advisory.sort();
    }
}
