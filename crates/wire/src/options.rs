//! What can be chosen for a link.

use std::time::Duration;

use crate::emulate::Network;

/// Bytes that the helper's small messages may be together before they leave.
const GATHER: usize = 16 << 10;

/// Limits, deadlines and emulation of a link. The two ends may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkOptions {
    /// [`crate::Link::send`] blocks while more bytes than this are queued; `usize::MAX` is no
    /// limit.
    pub send_limit: usize,
    /// The link reads ahead until this many bytes wait to be received, some for each message beside its
    /// payload. A message that does not fit is neither read nor allocated before somebody asks for a
    /// message of its length: the network holds its sender back. So this is what a peer can have a party
    /// keep that it has no use for.
    pub receive_limit: usize,
    /// The same while a protocol runs ([`crate::Links::read_ahead`]), when peers are rightly ahead: who
    /// deals sends as fast as the network takes it, and evaluators a round at once.
    pub read_ahead: usize,
    /// Bytes of small messages that may wait for others, where users read ([`crate::Breaker::read_by_users`]): they
    /// leave together, when they are more, and before the user waits for anything.
    pub gather: usize,
    /// Longest message that may be announced at all.
    pub max_message: u64,
    /// Silence after which a peer that somebody waits for counts as gone. Every byte that arrives
    /// starts it anew, and a link that has nothing to send sends a sign of life four times a
    /// second: a party that computes is not silent, however long it does. Where the two ends
    /// differ, the shorter one must be longer than a second.
    pub deadline: Duration,
    /// How long somebody waits for a peer that is alive, while nothing moves: a deadlock.
    pub stall_limit: Duration,
    /// A slower network than the real one.
    pub network: Option<Network>,
}

impl Default for LinkOptions {
    fn default() -> LinkOptions {
        LinkOptions {
            send_limit: 64 << 20,
            receive_limit: 256 << 10,
            read_ahead: 4 << 20,
            gather: 0,
            max_message: 16 << 30,
            deadline: Duration::from_secs(60),
            stall_limit: Duration::from_secs(600),
            network: None,
        }
    }
}

impl LinkOptions {
    /// Time between two signs of life.
    pub(crate) fn heartbeat(&self) -> Duration {
        (self.deadline / 4).clamp(Duration::from_millis(10), Duration::from_millis(250))
    }

    /// The options of party `i` for its link to party `j`: evaluators exchange messages of any
    /// size at once, before either receives, so nothing holds back what they send. The helper, who deals
    /// ahead, is held back, and many a message of its is small.
    pub fn between(&self, i: usize, j: usize) -> LinkOptions {
        let mut options = self.clone();
        if i < 2 && j < 2 {
            options.send_limit = usize::MAX;
        }
        if i == 2 {
            options.gather = GATHER;
        }
        options
    }
}
