//! Aramis over links: any protocol between parties whose hardware vouches for what they run.
//!
//! | | | where |
//! |---|---|---|
//! | 1 | TLS with pinned keys | [`cryptflow_wire::tls`] |
//! | 2 | fresh evidence in both directions, bound to session, program, policy, keys and connection | [`attest`] |
//! | 3 | a key for each link, from keys that live in the attested parties alone; every frame is authenticated under it | [`Instance`], [`cryptflow_wire::Guard`] |
//! | 4 | all parties name the same instances of one another: none runs twice | [`Accord::agree`] |
//! | 5 | before a batch: evidence again where it is due, and commitments to the inputs | [`Accord::before_batch`] |
//! | 6 | after it: all parties saw the same messages on every link; only then do outputs leave | [`Accord::after_batch`] |
//!
//! The protocols know nothing of it: they get links, as ever.

mod accord;
mod error;
mod handshake;
mod instance;
mod statement;

pub(crate) use accord::role;
pub use accord::{Accord, Ended};
pub use error::{AttestationError, Discord};
pub(crate) use handshake::clean;
pub use handshake::{Port, Proved, Terms, attest};
pub use instance::Instance;
pub use statement::{Flow, Statement, consistent};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cryptflow_aramis::simulated::{SimulatedTee, SimulatedTrust};
use cryptflow_aramis::{Attester, Collateral, Policy, Roots, Verifier, evidence};
use cryptflow_wire::Role;

use crate::config::Config;

/// What a participant proves itself with, and what it judges others by.
#[derive(Clone)]
pub struct Trust {
    /// Judges evidence.
    pub verifier: Arc<Verifier>,
    /// Makes this party's evidence; a client has none.
    pub attester: Option<Arc<dyn Attester>>,
    /// Digest of the policy, on which all participants must agree.
    pub policy: [u8; 32],
    /// Evidence older than this is asked for again.
    pub interval: Duration,
}

/// Why a participant cannot attest or judge.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read, or is wrong.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No hardware, or a simulated one that cannot be used.
    #[error("{0}")]
    Hardware(String),
}

impl Trust {
    /// What a site's configuration says; nothing where it attests nothing. `insecure_simulated` is
    /// the folder of a simulated root of trust, for machines without such hardware.
    ///
    /// # Errors
    /// A file is missing or wrong, or a party has no hardware to attest with.
    pub fn of(config: &Config, insecure_simulated: Option<&Path>) -> Result<Option<Trust>, TrustError> {
        let Some(files) = &config.attestation else {
            return match insecure_simulated {
                None => Ok(None),
                Some(_) => Err(TrustError::Hardware(
                    "--insecure-simulated-tee is given, and the configuration has no [attestation]".into(),
                )),
            };
        };
        let read = |path: &Path| {
            std::fs::read(path).map_err(|e| TrustError::File {
                path: path.into(),
                reason: format!("it cannot be read: {e}"),
            })
        };
        let wrong = |path: &Path, reason: String| TrustError::File { path: path.into(), reason };
        let text =
            String::from_utf8(read(&files.policy)?).map_err(|e| wrong(&files.policy, e.to_string()))?;
        let policy = Policy::parse(&text).map_err(|e| wrong(&files.policy, e.to_string()))?;
        let collateral = match &files.collateral {
            Some(path) => Collateral::from_json(&read(path)?).map_err(|e| wrong(path, e.to_string()))?,
            None => Collateral::default(),
        };
        let mut roots = Roots::manufacturers();
        if let Some(folder) = insecure_simulated {
            let trust = SimulatedTrust::open(folder).map_err(|e| wrong(folder, e.to_string()))?;
            roots = roots.with_insecure_simulated(trust);
        }
        let attester: Option<Arc<dyn Attester>> = match (config.role, insecure_simulated) {
            (Role::Client, _) => None,
            (_, Some(folder)) => {
                Some(Arc::new(SimulatedTee::open(folder).map_err(|e| wrong(folder, e.to_string()))?))
            }
            (_, None) => {
                Some(Arc::from(evidence::detect().map_err(|e| TrustError::Hardware(e.to_string()))?))
            }
        };
        let (digest, seconds) = (policy.digest(), policy.freshness.reattest_seconds);
        Ok(Some(Trust {
            verifier: Arc::new(Verifier::new(policy, collateral, roots)),
            attester,
            policy: digest,
            interval: Duration::from_secs(seconds),
        }))
    }

    /// Whether what is proved may be simulated: whoever shows results must say so.
    pub fn allows_insecure_simulated(&self) -> bool {
        self.verifier.allows_insecure_simulated()
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("interval", &self.interval).finish_non_exhaustive()
    }
}
