//! How a session is ended from outside: its operator wants it over, and everybody in it hears why.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptflow_wire::Breaker;

/// One session's end, where somebody else decides on it.
#[derive(Default)]
pub(crate) struct Ending(Mutex<State>);

#[derive(Default)]
struct State {
    reason: Option<String>,
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
    pub(crate) fn end(&self, reason: &str) {
        let mut state = self.state();
        if let Some(links) = &state.links {
            links.abort_all(reason);
        }
        state.reason.get_or_insert_with(|| reason.into());
    }

    /// The session has these links now.
    pub(crate) fn attach(&self, links: Breaker) {
        let mut state = self.state();
        if let Some(reason) = &state.reason {
            links.abort_all(reason);
        }
        state.links = Some(links);
    }

    /// Whether the session is to end.
    pub(crate) fn is_due(&self) -> bool {
        self.state().reason.is_some()
    }
}
