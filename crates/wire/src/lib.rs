//! Links between parties: framing, deadlines, byte and round meters, over TCP, in one process, or
//! over an emulated network. It knows nothing of protocols.
//!
//! The contract that protocols rely on:
//! * [`Link::send`] never waits for the peer's computation: what the network does not take at once, a
//!   sender thread of the link's own writes. It blocks only while more than the link's limit is queued.
//! * [`Link::recv`] waits for the next message, checks that it has the expected length, and fails
//!   with the peer's name when the peer is gone, aborts, or stays silent past the deadline.
//! * Every frame carries the sender's round clock (Lamport's): receiving moves the receiver's clock
//!   past it. A party's clock is thus the length of the longest chain of dependent messages so far:
//!   the protocol's rounds.
//! * When one link of a party fails, all of its [`Links`] fail with the same error, and the other
//!   peers are told why.

mod clock;
mod emulate;
mod error;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod hello;
mod intake;
mod kept;
mod link;
mod links;
pub mod local;
mod meter;
mod options;
mod outlet;
mod patience;
mod pump;
mod reading;
mod reason;
mod shared;
mod stream;
pub mod tcp;
#[cfg(test)]
#[path = "../tests/mod.rs"]
mod tests;
pub mod tls;
mod token;
mod waits;
mod waker;

pub use clock::Clock;
pub use emulate::Network;
pub use error::WireError;
pub use frame::FrameError;
pub use guard::{Chain, Guard, LinkTranscript};
pub use hello::Role;
pub use kept::Keeper;
pub use link::Link;
pub use links::{Breaker, Links, ReadAhead, Watch};
pub use meter::LinkMeter;
pub use options::LinkOptions;
pub use reason::{Kind, Reason};
pub use token::Token;
pub use waits::Wait;
