//! How long somebody waits for a peer.

use std::time::{Duration, Instant};

use crate::error::WireError;
use crate::options::LinkOptions;

/// The patience of one wait. It is asked at least once a heartbeat; time in which this process did
/// not run itself (it was stopped, or its machine slept) does not count against the peer.
#[derive(Debug)]
pub(crate) struct Patience {
    asked: Instant,
    tick: Duration,
    /// The signs of life and the movements that were seen when it was last asked.
    alive: u64,
    moved: u64,
    silent: Duration,
    stalled: Duration,
}

impl Patience {
    /// For a wait that begins now, with this many signs of life and movements so far.
    pub(crate) fn new(now: Instant, options: &LinkOptions, alive: u64, moved: u64) -> Patience {
        let (silent, stalled) = (Duration::ZERO, Duration::ZERO);
        Patience { asked: now, tick: options.heartbeat(), alive, moved, silent, stalled }
    }

    /// How much longer to wait before asking again, with this many signs of life and movements so
    /// far; or why no longer.
    pub(crate) fn left(
        &mut self,
        now: Instant,
        options: &LinkOptions,
        peer: &str,
        alive: u64,
        moved: u64,
    ) -> Result<Duration, WireError> {
        let passed = now.saturating_duration_since(self.asked).min(self.tick * 4);
        self.silent = if alive == self.alive { self.silent + passed } else { Duration::ZERO };
        self.stalled = if moved == self.moved { self.stalled + passed } else { Duration::ZERO };
        (self.asked, self.alive, self.moved) = (now, alive, moved);
        if self.silent >= options.deadline {
            return Err(WireError::Silent { peer: peer.into(), seconds: options.deadline.as_secs() });
        }
        if self.stalled >= options.stall_limit {
            return Err(WireError::Stalled { peer: peer.into(), seconds: options.stall_limit.as_secs() });
        }
        Ok(self.tick.min(options.deadline - self.silent).min(options.stall_limit - self.stalled))
    }
}

#[cfg(test)]
#[path = "../tests/patience.rs"]
mod tests;
