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
mod tests {
    use super::*;

    #[test]
    fn silence_and_standstill_are_counted_apart() {
        let seconds = Duration::from_secs;
        let options =
            LinkOptions { deadline: seconds(10), stall_limit: seconds(25), ..LinkOptions::default() };
        let begin = Instant::now();
        let silent = WireError::Silent { peer: "P1".into(), seconds: 10 };
        let stalled = WireError::Stalled { peer: "P1".into(), seconds: 25 };
        // (what happens every second, when it ends, how)
        type Signs = fn(u64) -> (u64, u64);
        let table: [(Signs, Option<(u64, &WireError)>); 5] = [
            (|_| (0, 0), Some((10, &silent))),
            (|t| (t, 0), Some((25, &stalled))),
            (|t| (t, t), None),
            (|t| (t / 9, t / 9), None),
            (|t| (t.min(20), t.min(20)), Some((30, &silent))),
        ];
        for (signs, end) in table {
            let mut patience = Patience::new(begin, &options, 0, 0);
            let ended = (1..100).find_map(|t| {
                let (alive, moved) = signs(t);
                let left = patience.left(begin + seconds(t), &options, "P1", alive, moved);
                left.err().map(|error| (t, error))
            });
            assert_eq!(ended, end.map(|(t, error)| (t, error.clone())));
        }
    }

    #[test]
    fn time_in_which_nobody_asked_does_not_count() {
        let options = LinkOptions::default();
        let begin = Instant::now();
        let mut patience = Patience::new(begin, &options, 0, 0);
        let after_a_night = begin + Duration::from_secs(30_000);
        let left = patience.left(after_a_night, &options, "P1", 0, 0);
        assert_eq!(left, Ok(Duration::from_millis(250)));
    }
}
