//! The sessions that run, for whoever has to end some of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cryptflow_wire::Reason;
use cryptflow_wire::tls::Fingerprint;

use crate::watch::Followed;
use crate::worker::Ender;

/// The sessions that run, by number.
#[derive(Default)]
pub(crate) struct Live(Mutex<HashMap<[u8; 32], Session>>);

struct Session {
    client: Fingerprint,
    model: String,
    ender: Ender,
    followed: Arc<Followed>,
}

impl Live {
    fn sessions(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a session, as long as what is returned is held.
    pub(crate) fn enter(
        &self,
        number: [u8; 32],
        client: Fingerprint,
        model: &str,
        ender: Ender,
        followed: Arc<Followed>,
    ) -> Entered<'_> {
        self.sessions().insert(number, Session { client, model: model.into(), ender, followed });
        Entered { live: self, number }
    }

    /// Ends the session that has waited for its client for longest, of the clients with these keys, where that is so
    /// long; whether there was one.
    pub(crate) fn end_idle(&self, of: impl Fn(Fingerprint) -> bool, idle: Duration, reason: Reason) -> bool {
        let ender = {
            let sessions = self.sessions();
            let those = sessions.values().filter(|session| of(session.client));
            let waiting = those.filter_map(|session| {
                let since = session.followed.waits_since()?;
                (since.elapsed() >= idle).then_some((since, &session.ender))
            });
            waiting.min_by_key(|(since, _)| *since).map(|(_, ender)| ender.clone())
        };
        if let Some(ender) = &ender {
            ender.end(reason);
        }
        ender.is_some()
    }

    /// Ends the sessions for which there is a reason, by client and model; returns how many.
    pub(crate) fn end(&self, reason: impl Fn(Fingerprint, &str) -> Option<Reason>) -> usize {
        // Telling a session takes a moment: nobody waits for it here.
        let due: Vec<(Ender, Reason)> = {
            let sessions = self.sessions();
            let due = sessions
                .values()
                .filter_map(|session| Some((session.ender.clone(), reason(session.client, &session.model)?)));
            due.collect()
        };
        let ended = due.len();
        due.into_iter().for_each(|(ender, reason)| ender.end(reason));
        ended
    }
}

/// A session that runs.
pub(crate) struct Entered<'a> {
    live: &'a Live,
    number: [u8; 32],
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.live.sessions().remove(&self.number);
    }
}
