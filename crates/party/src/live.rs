//! The sessions that run, for whoever has to end some of them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptflow_wire::tls::Fingerprint;

use crate::worker::Ender;

/// The sessions that run, by number.
#[derive(Default)]
pub(crate) struct Live(Mutex<HashMap<[u8; 32], Session>>);

struct Session {
    client: Fingerprint,
    model: String,
    ender: Ender,
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
    ) -> Entered<'_> {
        self.sessions().insert(number, Session { client, model: model.into(), ender });
        Entered { live: self, number }
    }

    /// Ends the sessions for which there is a reason, by client and model; returns how many.
    pub(crate) fn end(&self, reason: impl Fn(Fingerprint, &str) -> Option<String>) -> usize {
        // Telling a session takes a moment: nobody waits for it here.
        let due: Vec<(Ender, String)> = {
            let sessions = self.sessions();
            let due = sessions
                .values()
                .filter_map(|session| Some((session.ender.clone(), reason(session.client, &session.model)?)));
            due.collect()
        };
        due.iter().for_each(|(ender, reason)| ender.end(reason));
        due.len()
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
