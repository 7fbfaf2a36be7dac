//! Frames: a header of sixteen bytes, little endian, and a payload.
//!
//! | bytes | field |
//! |---|---|
//! | 0 | kind: 1 data, 2 abort, 3 close, 4 alive |
//! | 1..4 | zero |
//! | 4..8 | of data, the sender's round clock plus one; of an abort, what kind of reason the sender has ([`crate::Kind`]), or zero; otherwise zero |
//! | 8..16 | length of the payload in bytes |

/// Bytes of a header.
pub(crate) const HEADER_LEN: usize = 16;
/// Longest reason of an abort.
pub(crate) const MAX_REASON: usize = 4096;

/// Why a frame is none that a party of this version sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// An unknown kind.
    #[error("there is no frame of kind {0}")]
    Kind(u8),
    /// Bytes that are kept for later versions.
    #[error("reserved bytes are not zero")]
    Reserved,
    /// More than a frame of its kind may hold.
    #[error("it announces {announced} bytes, and at most {limit} are allowed")]
    TooLong {
        /// What it announces.
        announced: u64,
        /// What is allowed.
        limit: u64,
    },
    /// More than can be addressed here.
    #[error("{0} bytes do not fit this machine's memory")]
    Memory(u64),
}

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// A message of the protocol.
    Data,
    /// The sender gives up; the payload says why, in UTF-8. In the place of the clock is a number for programs, which
    /// releases that know of none neither send nor read.
    Abort,
    /// The sender has sent all that it will send.
    Close,
    /// The sender has nothing to send just now: it computes, or waits for somebody else.
    Alive,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: FrameKind,
    /// Of an abort: the number of its kind.
    pub(crate) clock: u32,
    pub(crate) len: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let kind = match self.kind {
            FrameKind::Data => 1,
            FrameKind::Abort => 2,
            FrameKind::Close => 3,
            FrameKind::Alive => 4,
        };
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = kind;
        bytes[4..8].copy_from_slice(&self.clock.to_le_bytes());
        bytes[8..].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    /// The header in these bytes, or what is wrong with them. `max_message` bounds the length of
    /// data.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN], max_message: u64) -> Result<Header, FrameError> {
        let [kind, zero @ .., c0, c1, c2, c3, l0, l1, l2, l3, l4, l5, l6, l7] = *bytes;
        let zero: [u8; 3] = zero;
        let clock = u32::from_le_bytes([c0, c1, c2, c3]);
        let len = u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
        let (kind, limit) = match kind {
            1 => (FrameKind::Data, max_message),
            2 => (FrameKind::Abort, MAX_REASON as u64),
            3 => (FrameKind::Close, 0),
            4 => (FrameKind::Alive, 0),
            other => return Err(FrameError::Kind(other)),
        };
        if zero != [0; 3] {
            return Err(FrameError::Reserved);
        }
        if len > limit {
            return Err(FrameError::TooLong { announced: len, limit });
        }
        Ok(Header { kind, clock, len })
    }
}

/// A reason as it is sent: cut to its longest length between two characters.
pub(crate) fn encode_reason(reason: &str) -> Vec<u8> {
    reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON)].to_vec()
}

/// A reason as it is shown: it comes from outside, so nothing in it may steer a terminal.
pub(crate) fn decode_reason(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
#[path = "../tests/frame.rs"]
mod tests;
