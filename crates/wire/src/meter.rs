//! What went over a link.

use crate::frame::HEADER_LEN;

/// Messages and payload bytes of one link since it was made, seen from one end. A message counts
/// when it is handed to [`crate::Link::send`] and when [`crate::Link::recv`] returns it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkMeter {
    /// Payload bytes sent.
    pub sent_bytes: u64,
    /// Messages sent.
    pub sent_messages: u64,
    /// Payload bytes received.
    pub received_bytes: u64,
    /// Messages received.
    pub received_messages: u64,
}

impl LinkMeter {
    /// Bytes of the headers of the messages sent, which no cost formula counts.
    pub fn sent_framing(&self) -> u64 {
        self.sent_messages * HEADER_LEN as u64
    }

    /// Bytes of the headers of the messages received.
    pub fn received_framing(&self) -> u64 {
        self.received_messages * HEADER_LEN as u64
    }
}
