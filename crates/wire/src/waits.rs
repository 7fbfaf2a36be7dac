//! How long those who use a link have waited for its peer.

use std::time::{Duration, Instant};

/// One time that a party has waited for another one: for a message, or for room to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The peer's index.
    pub peer: usize,
    /// When the party began to wait.
    pub begun: Instant,
    /// How long it waited.
    pub took: Duration,
}

/// The waits for one peer: all of them in a sum, and, where somebody wants a time line, one by one.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    total: Duration,
    kept: Vec<(Instant, Duration)>,
    /// How many more are kept.
    room: usize,
}

impl Waits {
    /// Somebody has waited from then until now.
    pub(crate) fn add(&mut self, begun: Instant) {
        let took = begun.elapsed();
        self.total += took;
        if self.room > 0 {
            self.room -= 1;
            self.kept.push((begun, took));
        }
    }

    pub(crate) fn total(&self) -> Duration {
        self.total
    }

    /// Keeps the next waits one by one, so many at most.
    pub(crate) fn keep(&mut self, most: usize) {
        (self.kept, self.room) = (Vec::new(), most);
    }

    /// What was kept.
    pub(crate) fn kept(&self, peer: usize) -> impl Iterator<Item = Wait> + '_ {
        self.kept.iter().map(move |&(begun, took)| Wait { peer, begun, took })
    }
}
