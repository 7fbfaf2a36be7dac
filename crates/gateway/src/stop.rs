//! That whoever asked waits no more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whether somebody still waits for an answer, and what is to be done when nobody does any more.
#[derive(Clone, Default)]
pub struct Stop(Arc<Mutex<State>>);

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    stopped: bool,
    hook: Option<Hook>,
}

impl Stop {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody waits any more.
    pub fn stop(&self) {
        let hook = {
            let mut state = self.state();
            state.stopped = true;
            state.hook.take()
        };
        // It may look here.
        hook.into_iter().for_each(|hook| hook());
    }

    /// Whether nobody waits any more.
    pub fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// What is to be done when nobody waits any more, in the place of what was to be done before: at once, where nobody
    /// does now.
    pub fn then(&self, hook: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        if !state.stopped {
            state.hook = Some(Box::new(hook));
            return;
        }
        drop(state);
        hook();
    }

    /// Nothing is to be done any more. Whether nobody waits: then all was done that was to be.
    pub fn rest(&self) -> bool {
        let mut state = self.state();
        state.hook = None;
        state.stopped
    }
}

/// Somebody who waits: whoever drops this waits no more.
pub(crate) struct Waiting(pub(crate) Stop);

impl Drop for Waiting {
    fn drop(&mut self) {
        let stop = self.0.clone();
        // What is to be done then may take a moment, and whoever drops this serves others, too.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || stop.stop())),
            Err(_) => stop.stop(),
        }
    }
}
