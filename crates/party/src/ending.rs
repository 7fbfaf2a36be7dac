//! How a session is ended from outside: its operator wants it over, and everybody in it hears why.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptflow_wire::{Breaker, Reason};

/// One session's end, where somebody else decides on it.
#[derive(Default)]
pub(crate) struct Ending(Mutex<State>);

#[derive(Default)]
struct State {
    reason: Option<Reason>,
    links: Option<Breaker>,
}

impl Ending {
    pub(crate) fn new() -> Arc<Ending> {
        Arc::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session: now, or as soon as it has links to break.
    pub(crate) fn end(&self, reason: Reason) {
        let mut state = self.state();
        if let Some(links) = &state.links {
            links.abort_all(reason.clone());
        }
        state.reason.get_or_insert(reason);
    }

    /// The session has these links now.
    pub(crate) fn attach(&self, links: Breaker) {
        let mut state = self.state();
        if let Some(reason) = &state.reason {
            links.abort_all(reason.clone());
        }
        state.links = Some(links);
    }

    /// Whether the session is to end.
    pub(crate) fn is_due(&self) -> bool {
        self.state().reason.is_some()
    }
}
