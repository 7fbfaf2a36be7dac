//! A party's configuration, read again while the party runs: clients, rights, limits, the other parties,
//! the policy and its collateral. Sessions that run go on, but for those of a client who may no longer
//! have them.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use serde_json::json;

use crate::attested::Trust;
use crate::code::Code;
use crate::config::{ClientEntry, Config, Right};
use crate::service::Service;
use crate::site::Site;

/// What a party keeps as long as it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} differs from what this party runs with, and takes effect when it is started again: nothing was loaded"
)]
pub struct ReloadError(&'static str);

impl Service {
    /// Goes on with another configuration. Returns what has changed, for people.
    ///
    /// # Errors
    /// It differs where it cannot, or its folders cannot be used; nothing is changed then.
    pub fn reload(&self, config: Config, trust: Option<Trust>) -> Result<Vec<String>, crate::StartError> {
        let before = self.site();
        fixed(&before.config, &config)?;
        let mut after = Site::new(config, trust)?;
        // The same folder, in which there is one change at a time.
        after.store = before.store.clone();
        let after = Arc::new(after);
        let changes = changes(&before, &after);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&after);
        let ended = self.live.end(|client, model| {
            let may = after.config.client(client).is_some_and(|(_, entry)| uses(entry, model));
            (!may).then(|| {
                Code::Forbidden.reason("the operator of a party has taken this client's right to it away")
            })
        });
        // There may be more room than before, and the process that waits knows the old configuration.
        self.seats.look_again();
        self.get_ready();
        self.record("reloaded", json!({ "changes": changes, "sessions_ended": ended }));
        Ok(changes)
    }
}

/// Whether a client may use a model.
fn uses(client: &ClientEntry, model: &str) -> bool {
    client.may.contains(&Right::Predict) && client.models.as_ref().is_none_or(|models| models.contains(model))
}

/// Refuses what cannot be changed while a party runs.
fn fixed(before: &Config, after: &Config) -> Result<(), ReloadError> {
    let parts = [
        ("site.role", before.role == after.role),
        ("site.lanes", before.lane == after.lane),
        ("site.listen", before.listen == after.listen),
        ("site.key", before.identity.fingerprint() == after.identity.fingerprint()),
        ("site.store", before.store == after.store),
        ("site.audit", before.audit == after.audit),
        ("operator", before.operator == after.operator),
        ("the number of parties", before.parties.len() == after.parties.len()),
        ("session.process", before.session.process == after.session.process),
    ];
    parts.into_iter().find(|(_, same)| !same).map_or(Ok(()), |(what, _)| Err(ReloadError(what)))
}

/// What is another now, by name; never a value that is long.
fn changes(before: &Site, after: &Site) -> Vec<String> {
    let (old, new) = (&before.config, &after.config);
    let mut changes = Vec::new();
    let names: BTreeSet<&String> = old.clients.keys().chain(new.clients.keys()).collect();
    for name in names {
        match (old.clients.get(name), new.clients.get(name)) {
            (None, Some(_)) => changes.push(format!("client {name} is new")),
            (Some(_), None) => changes.push(format!("client {name} is gone")),
            (was, is) if was != is => changes.push(format!("client {name} has another key or other rights")),
            _ => {}
        }
    }
    for (index, (was, is)) in old.parties.iter().zip(&new.parties).enumerate() {
        if was != is {
            changes.push(format!("p{index} has another address, name or key"));
        }
    }
    if old.session != new.session {
        changes.push("the limits of sessions are others".into());
    }
    if old.keep_versions != new.keep_versions {
        changes.push("models.keep is another".into());
    }
    if old.reserve != new.reserve {
        changes.push("models.reserve_mb is another".into());
    }
    if old.dealt != new.dealt {
        changes.push("models.dealt_mb is another".into());
    }
    let policy = |site: &Site| site.trust.as_ref().map(|trust| trust.policy);
    if policy(before) != policy(after) {
        changes.push("the policy is another".into());
    }
    if changes.is_empty() && after.trust.is_some() {
        changes.push("the policy and its collateral were read again".into());
    }
    changes
}
