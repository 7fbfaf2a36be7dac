//! The round clock: one for each party, shared by all of its links.

use std::sync::atomic::{AtomicU32, Ordering};

/// Lamport's clock, counting rounds. A frame carries its sender's clock plus one; receiving it
/// moves the receiver's clock to at least that. A simultaneous exchange is one round, and so are
/// several messages that are sent before any is received.
#[derive(Debug, Default)]
pub struct Clock(AtomicU32);

impl Clock {
    /// Rounds so far: the longest chain of dependent messages that this party has seen the end of.
    pub fn now(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// The clock that a message sent now carries.
    pub(crate) fn next(&self) -> u32 {
        self.now().saturating_add(1)
    }

    /// A message with this clock was received.
    pub(crate) fn observe(&self, clock: u32) {
        self.0.fetch_max(clock, Ordering::AcqRel);
    }
}
