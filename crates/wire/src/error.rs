//! What can go wrong on a link.

use crate::frame::FrameError;
use crate::reason::{Kind, Reason};

/// Why a link failed. Names the peer, never a payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The peer closed the connection or died.
    #[error("{peer} closed the connection: it stopped, crashed or was killed")]
    Closed {
        /// Name of the peer.
        peer: String,
    },
    /// The peer closed the link in good order, but more was due from it.
    #[error("{peer} ended the session before this party did: the parties do not run the same program")]
    Finished {
        /// Name of the peer.
        peer: String,
    },
    /// The peer gave up and said why.
    #[error("{peer} aborted: {reason}")]
    Aborted {
        /// Name of the peer.
        peer: String,
        /// Its reason.
        reason: Reason,
    },
    /// This party itself gave up.
    #[error("this party gave up: {reason}")]
    GaveUp {
        /// Its reason.
        reason: Reason,
    },
    /// Nothing came within the deadline, not even a sign of life.
    #[error("{peer} has been silent for {seconds} s: its process or its network stands still")]
    Silent {
        /// Name of the peer.
        peer: String,
        /// The deadline.
        seconds: u64,
    },
    /// The peer is alive, but nothing moves.
    #[error(
        "{peer} is alive, but nothing has moved between it and this party for {seconds} s: the parties wait for one another"
    )]
    Stalled {
        /// Name of the peer.
        peer: String,
        /// The limit.
        seconds: u64,
    },
    /// A message of another length than the protocol demands.
    #[error(
        "{peer} sent a message of {received} bytes where {expected} were due: the parties do not run the same program"
    )]
    Length {
        /// Name of the peer.
        peer: String,
        /// What the protocol demands.
        expected: usize,
        /// What came.
        received: usize,
    },
    /// A control message longer than its receiver accepts.
    #[error("{peer} announced a message of {announced} bytes where at most {limit} are accepted")]
    TooLong {
        /// Name of the peer.
        peer: String,
        /// What the peer announced.
        announced: u64,
        /// What is accepted.
        limit: usize,
    },
    /// A message where none is due any more.
    #[error(
        "{peer} sent a message after the end of the session: nobody has asked for it, and nothing of it was read"
    )]
    Unasked {
        /// Name of the peer.
        peer: String,
    },
    /// A frame that no party of this version sends.
    #[error("{peer} sent a malformed frame: {reason}")]
    Frame {
        /// Name of the peer.
        peer: String,
        /// What is wrong with it.
        reason: FrameError,
    },
    /// A frame does not have the tag, or the encryption, that its place demands.
    #[error("what came from {peer} was changed, repeated, left out or put out of order on its way: {reason}")]
    Tampered {
        /// Name of the peer.
        peer: String,
        /// Which check failed.
        reason: String,
    },
    /// The connection could not be made.
    #[error("cannot connect to {peer}: {reason}")]
    Connect {
        /// Name of the peer.
        peer: String,
        /// The operating system's or the handshake's reason.
        reason: String,
    },
    /// The peer was reached, and the two do not come to speak with each other.
    #[error("cannot connect to {peer}: {reason}")]
    Rejected {
        /// Name of the peer.
        peer: String,
        /// Who rejects whom, and what to do.
        reason: String,
    },
    /// Whoever answers is another than the one that was meant.
    #[error(
        "cannot connect to {peer}: whoever answers there does not hold the key {expected} that is written down for it: the \
         address is another's, or its key was made anew; compare fingerprints over the telephone"
    )]
    WrongKey {
        /// Name of the peer, and its address.
        peer: String,
        /// The fingerprint that is written down.
        expected: String,
    },
    /// Whoever answers does not know this end's key.
    #[error(
        "cannot connect to {peer}: it does not accept this key, {own}: its operator must add the fingerprint to its \
         configuration"
    )]
    KeyNotAccepted {
        /// Name of the peer, and its address.
        peer: String,
        /// This end's fingerprint.
        own: String,
    },
    /// Somebody who connected is not let in.
    #[error("{peer} is not let in: {reason}")]
    NotLetIn {
        /// Its address.
        peer: String,
        /// Why.
        reason: String,
    },
    /// The operating system gives no randomness for a session's token or a handshake.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(String),
    /// Input or output failed.
    #[error("the connection to {peer} failed: {reason}")]
    Io {
        /// Name of the peer.
        peer: String,
        /// The operating system's reason.
        reason: String,
    },
}

impl WireError {
    /// Whether a new connection may succeed a little later, with nothing changed: the peer, or the
    /// network, was not there.
    pub fn passes(&self) -> bool {
        match self {
            WireError::Closed { .. }
            | WireError::Silent { .. }
            | WireError::Stalled { .. }
            | WireError::Connect { .. }
            | WireError::Io { .. } => true,
            WireError::Finished { .. }
            | WireError::Aborted { .. }
            | WireError::GaveUp { .. }
            | WireError::Length { .. }
            | WireError::TooLong { .. }
            | WireError::Unasked { .. }
            | WireError::Frame { .. }
            | WireError::Tampered { .. }
            | WireError::Rejected { .. }
            | WireError::WrongKey { .. }
            | WireError::KeyNotAccepted { .. }
            | WireError::NotLetIn { .. }
            | WireError::Randomness(_) => false,
        }
    }

    /// What kind of error it is. Where somebody gave up, that is what it has said: who hears of an error from another
    /// hears of which kind it was.
    pub fn kind(&self) -> Kind {
        match self {
            WireError::Closed { .. } | WireError::Finished { .. } | WireError::Io { .. } => Kind::GONE,
            WireError::Aborted { reason, .. } | WireError::GaveUp { reason } => reason.kind,
            WireError::Silent { .. } | WireError::Stalled { .. } => Kind::TIMEOUT,
            WireError::Length { .. }
            | WireError::TooLong { .. }
            | WireError::Unasked { .. }
            | WireError::Frame { .. } => Kind::BAD_MESSAGE,
            WireError::Tampered { .. } => Kind::TAMPERED,
            WireError::Connect { .. } | WireError::Rejected { .. } => Kind::UNREACHABLE,
            WireError::WrongKey { .. } => Kind::WRONG_KEY,
            WireError::KeyNotAccepted { .. } | WireError::NotLetIn { .. } => Kind::KEY_NOT_ACCEPTED,
            WireError::Randomness(_) => Kind::INTERNAL,
        }
    }

    /// What the other peers are told when this breaks a party's links.
    pub(crate) fn reason_for_peers(&self) -> Reason {
        match self {
            WireError::GaveUp { reason } => reason.clone(),
            error => Reason { kind: error.kind(), text: error.to_string() },
        }
    }
}
