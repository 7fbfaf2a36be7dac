//! Who changes which model: one client at a time, each model apart. Clients take the parties in order,
//! so that none waits for another that waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::messages::SessionError;

/// The models that are being changed, and by whom.
#[derive(Default)]
pub(crate) struct Locks(Mutex<HashMap<String, String>>);

impl Locks {
    /// The right to change a model, for this client alone.
    ///
    /// # Errors
    /// Another one has it, who is named.
    pub(crate) fn take(self: &Arc<Self>, model: &str, client: &str) -> Result<Lock, SessionError> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = taken.get(model) {
            return Err(SessionError::Locked { model: model.into(), client: other.clone() });
        }
        taken.insert(model.into(), client.into());
        Ok(Lock { model: model.into(), locks: Arc::clone(self) })
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
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.locks.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.model);
    }
}
