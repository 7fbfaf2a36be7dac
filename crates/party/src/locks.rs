//! Who changes which model: one client at a time, each model apart. Clients take the parties in order,
//! so that none waits for another that waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::messages::{Obstacle, SessionError};

/// The models that are being changed.
#[derive(Default)]
pub(crate) struct Locks {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By whom each is.
    taken: HashMap<String, String>,
    /// Whether no other change begins.
    closed: bool,
    /// Whether those that are under way are broken off.
    over: bool,
}

impl Locks {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to change a model, for this client alone.
    ///
    /// # Errors
    /// Another one has it, who is named; or the party stops.
    pub(crate) fn take(self: &Arc<Self>, model: &str, client: &str) -> Result<Lock, SessionError> {
        let mut state = self.state();
        if state.closed {
            return Err(Obstacle::Leaving.into());
        }
        if let Some(other) = state.taken.get(model) {
            return Err(SessionError::Locked { model: model.into(), client: other.clone() });
        }
        state.taken.insert(model.into(), client.into());
        Ok(Lock { model: model.into(), locks: Arc::clone(self) })
    }

    /// Lets no change begin any more; how many are under way.
    pub(crate) fn close(&self) -> usize {
        let mut state = self.state();
        state.closed = true;
        state.taken.len()
    }

    /// Has those who change a model break that off; how many there are.
    pub(crate) fn end(&self) -> usize {
        let mut state = self.state();
        state.over = true;
        state.taken.len()
    }

    /// Waits until nobody changes a model; whether that came before the deadline.
    pub(crate) fn emptied(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(self.state(), left, |state| !state.taken.is_empty());
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.taken.is_empty()
    }
}

/// The right to change a model: whoever drops it gives it back, in a panic, too.
pub(crate) struct Lock {
    model: String,
    locks: Arc<Locks>,
}

impl Lock {
    /// Whether it is the right to change this model.
    pub(crate) fn is_for(&self, model: &str) -> bool {
        self.model == model
    }

    /// Whether the change may go on.
    ///
    /// # Errors
    /// The party stops, and waits no more.
    pub(crate) fn stands(&self) -> Result<(), SessionError> {
        match self.locks.state().over {
            false => Ok(()),
            true => Err(SessionError::Stopping(self.model.clone())),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.locks.state().taken.remove(&self.model);
        self.locks.changed.notify_all();
    }
}
