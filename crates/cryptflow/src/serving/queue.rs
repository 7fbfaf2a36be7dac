//! A line of so many at most, from which those go who want nothing any more.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The line.
pub(super) struct Queue<T> {
    most: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

/// How waiting for the next one ended.
pub(super) enum Next<T> {
    /// With it.
    Work(T),
    /// Nobody came.
    Idle,
    /// Nobody will come.
    Over,
}

/// As many wait as may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<T> Queue<T> {
    /// A line in which so many wait at most.
    pub(super) fn new(most: usize) -> Queue<T> {
        let state = State { waiting: VecDeque::new(), closed: false };
        Queue { most, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether as many wait as may.
    pub(super) fn is_full(&self) -> bool {
        self.state().waiting.len() >= self.most
    }

    /// At the end.
    pub(super) fn push(&self, one: T) -> Result<(), Full> {
        let mut state = self.state();
        if state.waiting.len() >= self.most {
            return Err(Full);
        }
        state.waiting.push_back(one);
        self.changed.notify_one();
        Ok(())
    }

    /// The next one, as soon as there is one; for so long, where there is a limit.
    pub(super) fn next(&self, patience: Option<Duration>) -> Next<T> {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut state = self.state();
        loop {
            if let Some(one) = state.waiting.pop_front() {
                return Next::Work(one);
            }
            if state.closed {
                return Next::Over;
            }
            state = match until {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Next::Idle;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Those leave who do not stay.
    pub(super) fn retain(&self, stays: impl Fn(&T) -> bool) {
        let mut gone = Vec::new();
        {
            let mut state = self.state();
            let (stay, leave) = std::mem::take(&mut state.waiting).into_iter().partition(stays);
            state.waiting = stay;
            gone.extend::<VecDeque<T>>(leave);
        }
        // Whoever waits for one of them hears so without the line's lock.
        drop(gone);
    }

    /// Nobody comes any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }
}
