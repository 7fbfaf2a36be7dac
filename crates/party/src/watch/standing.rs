//! [`Standing`]: what two parties must have alike to run sessions together, and in which points they have not.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cryptflow_wire::Role;
use serde::{Deserialize, Serialize};

use super::{Watch, locked};
use crate::attested::Trust;
use crate::code::Code;
use crate::config::Config;
use crate::messages::SessionError;
use crate::site::Site;
use crate::store::Store;
use crate::versions::Model;

/// How long what was read of the store is believed where its folder is as it was: heads of files are long.
const BELIEVED: Duration = Duration::from_secs(5);

/// Clocks may be apart by so much: evidence has an age, and logs of several parties are compared by people.
const APART: Duration = Duration::from_secs(30);

/// What a party says of itself to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Version of the program.
    pub software: String,
    /// Digest of its attestation policy.
    pub policy: Option<[u8; 32]>,
    /// The protocols that it runs.
    pub protocols: Vec<String>,
    /// The models that it keeps, and the digests of their deployments.
    pub models: BTreeMap<String, [u8; 32]>,
    /// Its clock: milliseconds since 1970.
    pub clock: u64,
}

/// In which point two parties differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// What kind of difference it is.
    pub code: Code,
    /// The model; nothing where it is a matter of all.
    pub model: Option<String>,
    /// What is the matter.
    pub message: String,
    /// What to do.
    pub advice: &'static str,
}

/// What a party keeps.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) models: Vec<Model>,
    /// Why the store cannot be read.
    pub(super) failure: Option<String>,
}

/// When that was read, and when a version of a model was put into its folder, or taken out, before.
pub(super) struct Known {
    when: Instant,
    changed: Vec<SystemTime>,
    kept: Arc<Kept>,
}

/// When the folder of the store, and each folder in it, was changed last.
fn changed(store: &Path) -> Vec<SystemTime> {
    let entries = std::fs::read_dir(store).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders = entries.filter(|path| path.is_dir()).chain([store.to_path_buf()]);
    let mut times: Vec<SystemTime> =
        folders.filter_map(|folder| std::fs::metadata(folder).ok()?.modified().ok()).collect();
    times.sort();
    times
}

impl Watch {
    /// What the party keeps, as of some seconds ago at most.
    pub(super) fn kept(&self, site: &Site) -> Arc<Kept> {
        let changed = changed(&site.config.store);
        let mut known = locked(&self.kept);
        let believed = |known: &&Known| known.when.elapsed() < BELIEVED && known.changed == changed;
        if let Some(known) = known.as_ref().filter(believed) {
            return Arc::clone(&known.kept);
        }
        let kept = Arc::new(read(&site.store));
        *known = Some(Known { when: Instant::now(), changed, kept: Arc::clone(&kept) });
        kept
    }

    /// What this party says of itself.
    pub(crate) fn standing(&self, site: &Site) -> Standing {
        standing(&site.config, site.trust.as_ref(), &self.kept(site))
    }
}

/// What a party says of itself, for whoever looks at its site while it runs, or does not.
///
/// # Errors
/// The store cannot be read.
pub fn own_standing(config: &Config, trust: Option<&Trust>) -> Result<Standing, SessionError> {
    let Role::Party(index) = config.role else { return Err(SessionError::NoParty(config.parties.len())) };
    let store = Store::look_at(&config.store, index.into());
    let kept = if config.store.exists() { read(&store) } else { Kept::default() };
    match kept.failure {
        None => Ok(standing(config, trust, &kept)),
        Some(reason) => Err(SessionError::Reported { code: Code::Storage, reason }),
    }
}

fn standing(config: &Config, trust: Option<&Trust>, kept: &Kept) -> Standing {
    let models = kept.models.iter().filter_map(|model| {
        let (_, digest) = model.served()?;
        Some((model.name.clone(), digest))
    });
    Standing {
        software: env!("CARGO_PKG_VERSION").into(),
        policy: trust.map(|trust| trust.policy),
        protocols: config.session.protocols.iter().map(ToString::to_string).collect(),
        models: models.collect(),
        clock: clock(),
    }
}

fn read(store: &Store) -> Kept {
    match store.models() {
        Ok(models) => Kept { models, failure: None },
        Err(error) => Kept { models: Vec::new(), failure: Some(error.to_string()) },
    }
}

/// Milliseconds since 1970.
pub(super) fn clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// In which points a party, which is called `other`, and this one differ. `ahead` is by how many seconds its
/// clock is ahead of this one's.
pub fn compare(own: &Standing, theirs: &Standing, other: &str, ahead: f64) -> Vec<Differing> {
    let mut found = Vec::new();
    let mut differ = |code, model: Option<&String>, message, advice| {
        found.push(Differing { code, model: model.cloned(), message, advice });
    };
    match (own.policy, theirs.policy) {
        (own, theirs) if own == theirs => {}
        (Some(_), None) => differ(
            Code::DifferentPolicy,
            None,
            format!("this party attests what it runs, and {other} does not"),
            "all participants attest, with one policy, or none does: compare the tables [attestation]",
        ),
        (None, _) => differ(
            Code::DifferentPolicy,
            None,
            format!("{other} attests what it runs, and this party does not"),
            "all participants attest, with one policy, or none does: compare the tables [attestation]",
        ),
        (Some(_), Some(_)) => differ(
            Code::DifferentPolicy,
            None,
            format!("{other} has another attestation policy"),
            "all participants hold the same policy: compare the files, and start again those parties whose file changes",
        ),
    }
    if !own.protocols.iter().any(|protocol| theirs.protocols.contains(protocol)) {
        differ(
            Code::WrongProtocol,
            None,
            format!(
                "{other} runs {}, and this party {}",
                theirs.protocols.join(", "),
                own.protocols.join(", ")
            ),
            "agree on session.protocols",
        );
    }
    for (name, digest) in &own.models {
        match theirs.models.get(name) {
            Some(there) if there == digest => {}
            Some(_) => differ(
                Code::DifferentModel,
                Some(name),
                format!("{other} keeps another model under the name {name}"),
                "whoever deployed it deploys it again: cryptflow deploy --replace",
            ),
            None => differ(
                Code::UnknownModel,
                Some(name),
                format!("{other} does not keep {name}"),
                "whoever deployed it deploys it again: cryptflow deploy --replace",
            ),
        }
    }
    for name in theirs.models.keys().filter(|name| !own.models.contains_key(*name)) {
        differ(
            Code::UnknownModel,
            Some(name),
            format!("{other} keeps {name}, and this party does not"),
            "whoever deployed it deploys it again: cryptflow deploy --replace",
        );
    }
    if ahead.abs() > APART.as_secs_f64() {
        let side = if ahead > 0.0 { "ahead of" } else { "behind" };
        differ(
            Code::Clock,
            None,
            format!("the clock of {other} is {:.0} s {side} this one's", ahead.abs()),
            "set both clocks by a time server (NTP)",
        );
    }
    found
}
