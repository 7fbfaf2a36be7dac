//! Where those who come to a session wait until their turn.

use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cryptflow_wire::WireError;
use cryptflow_wire::tls::{Arrival, Channel, Fingerprint};

use crate::code::Code;
use crate::greeting::{Tell, say};
use crate::site::Site;

/// How often somebody who waits looks whether it is still worth it.
pub(crate) const GLANCE: Duration = Duration::from_millis(100);

/// Connections to a session that wait, by the key of who has come.
pub(crate) struct Rendezvous {
    /// Who has a part in the session, and comes here.
    expected: HashSet<Fingerprint>,
    /// Nothing in the place of who was claimed.
    come: Mutex<HashMap<Fingerprint, Option<Channel>>>,
    changed: Condvar,
}

impl Rendezvous {
    pub(crate) fn of(expected: HashSet<Fingerprint>) -> Rendezvous {
        Rendezvous { expected, come: Mutex::default(), changed: Condvar::new() }
    }

    /// Shakes hands with whoever has come, and has it wait; once, and only who is expected. Others are
    /// told so, and harm nobody.
    ///
    /// # Errors
    /// Who is not let in, and why.
    pub(crate) fn let_in(&self, arrival: Arrival, site: &Site) -> Result<(), WireError> {
        let mut channel = arrival.accept(&site.config.identity, site.config.known())?;
        let key = channel.peer_fingerprint();
        let reason = match self.expected.contains(&key) {
            false => format!("{key} has no part in this session"),
            true => {
                let mut come = self.come.lock().unwrap_or_else(PoisonError::into_inner);
                if let std::collections::hash_map::Entry::Vacant(place) = come.entry(key) {
                    place.insert(Some(channel));
                    self.changed.notify_all();
                    return Ok(());
                }
                format!("{key} has come to this session already")
            }
        };
        // It may be gone; what matters is that nothing happens.
        let _ = say(&mut channel, &Tell::Refused { code: Code::Forbidden, reason: reason.clone() });
        Err(WireError::NotLetIn { peer: channel.peer().into(), reason })
    }

    /// Waits for who has such a key until the deadline, or until nobody wants it any more.
    pub(crate) fn claim(
        &self,
        who: &dyn Fn(Fingerprint) -> bool,
        deadline: Instant,
        wanted: &dyn Fn() -> bool,
    ) -> Option<Channel> {
        let mut come = self.come.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(channel) = come.iter_mut().find_map(|(key, come)| come.take_if(|_| who(*key))) {
                return Some(channel);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !wanted() {
                return None;
            }
            let waited = self.changed.wait_timeout(come, left.min(GLANCE));
            come = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
