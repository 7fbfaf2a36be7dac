//! Links between parties: framing, deadlines, byte and round meters, over TCP, in one process, or over an emulated
//! network. It knows nothing of protocols.
//!
//! The contract that protocols rely on:
//! * [`Link::send`] never waits for the peer's computation: a sender thread of the link's own does the writing. It blocks
//!   only while more than the link's limit is queued.
//! * [`Link::recv`] waits for the next message, checks that it has the expected length, and fails with the peer's
//!   name when the peer is gone, aborts, or stays silent past the deadline.
//! * Every frame carries the sender's round clock (Lamport's): receiving moves the receiver's clock past it. A party's
//!   clock is thus the length of the longest chain of dependent messages so far: the protocol's rounds.

mod error;

pub use error::WireError;
