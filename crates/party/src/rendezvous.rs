//! Where the connections of other parties wait for the session that they belong to.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cryptflow_wire::tls::Channel;

/// How often somebody who waits looks whether it is still worth it.
const GLANCE: Duration = Duration::from_millis(100);

/// A session's number, and which party comes.
type Place = ([u8; 32], usize);

/// Connections that wait, by session and party.
#[derive(Default)]
pub(crate) struct Rendezvous {
    waiting: Mutex<HashMap<Place, Option<Channel>>>,
    changed: Condvar,
}

impl Rendezvous {
    /// Leaves a connection until somebody claims it; gives it back if nobody does before the
    /// deadline, or if another waits in its place already.
    pub(crate) fn leave(&self, place: Place, channel: Channel, deadline: Instant) -> Option<Channel> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.contains_key(&place) {
            return Some(channel);
        }
        waiting.insert(place, Some(channel));
        self.changed.notify_all();
        loop {
            let claimed = matches!(waiting.get(&place), Some(None) | None);
            let left = deadline.saturating_duration_since(Instant::now());
            if claimed || left.is_zero() {
                return waiting.remove(&place).flatten();
            }
            waiting = self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a connection until the deadline, or until nobody wants it any more.
    pub(crate) fn claim(
        &self,
        place: Place,
        deadline: Instant,
        wanted: &dyn Fn() -> bool,
    ) -> Option<Channel> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(channel) = waiting.get_mut(&place).and_then(Option::take) {
                self.changed.notify_all();
                return Some(channel);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !wanted() {
                return None;
            }
            waiting = self
                .changed
                .wait_timeout(waiting, left.min(GLANCE))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
