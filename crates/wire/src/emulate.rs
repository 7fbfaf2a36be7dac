//! A slower network than the real one: every frame is held back until the moment at which it would
//! have arrived.

use std::time::{Duration, Instant};

/// An emulated network between two parties. Each direction has the whole bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Time of a message there and of its answer back.
    pub rtt: Duration,
    /// Bits that a direction carries in a second; zero means without limit.
    pub bandwidth_bits_per_s: u64,
}

impl Network {
    /// Time that so many bytes occupy the line.
    pub fn serialisation(&self, bytes: usize) -> Duration {
        if self.bandwidth_bits_per_s == 0 {
            return Duration::ZERO;
        }
        let nanoseconds = bytes as u128 * 8 * 1_000_000_000 / u128::from(self.bandwidth_bits_per_s);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

/// One direction of an emulated network: when is the line free again?
#[derive(Debug)]
pub(crate) struct Line {
    network: Network,
    free: Option<Instant>,
}

impl Line {
    pub(crate) fn new(network: Network) -> Line {
        Line { network, free: None }
    }

    /// When do `bytes` arrive that were sent at `sent`? They occupy the line after
    /// everything before them, and then travel for half a round trip, while the line already
    /// carries what follows.
    pub(crate) fn due(&mut self, sent: Instant, bytes: usize) -> Instant {
        let start = self.free.map_or(sent, |free| free.max(sent));
        let end = start + self.network.serialisation(bytes);
        self.free = Some(end);
        end + self.network.rtt / 2
    }
}

#[cfg(test)]
#[path = "../tests/emulate.rs"]
mod tests;
