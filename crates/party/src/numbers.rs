//! The numbers of sessions, which clients choose: none begins twice.
//!
//! A number is known as long as its session runs, and until [`REMEMBERED`] others have ended after it. It
//! is what a session is found by ([`crate::greeting::Ask::Open`]), ended by, and called in the logs: two at
//! a time, or one after the other, would be taken for one another.
//!
//! For ever would be 32 bytes a session at least, 12 GB a year at a million a day, and is not needed: a
//! number keeps no secret and no session apart. Whatever does is new in every session, whatever its number: the keys of
//! connections, those of links, which follow from instance keys and the connection, those of the protocol,
//! to which both parties of a pair contribute 32 fresh bytes, and the nonces that evidence is made for.
//! Nothing that was said in an old session is of use in a new one of its number. A party that is
//! restarted begins with no numbers, for the same reason.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::messages::Obstacle;

/// Numbers that are known after their sessions have ended: some six megabytes of them.
pub const REMEMBERED: usize = 1 << 16;

/// The numbers that a party knows.
#[derive(Default)]
pub struct Numbers(Mutex<Known>);

#[derive(Default)]
struct Known {
    all: HashSet<[u8; 32]>,
    /// Those of sessions that have ended, the oldest first.
    ended: VecDeque<[u8; 32]>,
}

impl Numbers {
    /// Takes a number for a session, which runs as long as what is returned is held.
    ///
    /// # Errors
    /// There is, or was, a session of this number.
    pub fn begin(self: &Arc<Self>, number: [u8; 32]) -> Result<Begun, Obstacle> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).all.insert(number) {
            true => Ok(Begun { numbers: Arc::clone(self), number }),
            false => Err(Obstacle::Repeated),
        }
    }
}

/// The number of a session that runs.
pub struct Begun {
    numbers: Arc<Numbers>,
    number: [u8; 32],
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut known = self.numbers.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.ended.push_back(self.number);
        if known.ended.len() > REMEMBERED
            && let Some(oldest) = known.ended.pop_front()
        {
            known.all.remove(&oldest);
        }
    }
}
