//! Memory for the programs that clients bring: so much for all of them together, as each may have many
//! connections. Parts of weights go onto the disk as they come.

use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::size;

/// Of the memory that there is for sessions, one in so many is there for what clients bring meanwhile.
pub const SHARE: u64 = 4;

/// What is received now, of all clients.
#[derive(Default)]
pub struct Receiving(Mutex<u64>);

/// There is no room for what a client would bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "what clients bring here now takes {} of memory, and {} more is beyond what there is for that, {}: try again later; the \
     operator may allow more (session.memory_mb)",
    size(*.taken), size(*.wanted), size(*.most)
)]
pub struct NoRoom {
    /// Bytes that are received.
    pub taken: u64,
    /// Bytes that would be.
    pub wanted: u64,
    /// Bytes that may be.
    pub most: u64,
}

impl Receiving {
    /// Room for so many bytes, of so many for all clients. Where nobody else brings anything, there is room
    /// for whatever is small enough otherwise.
    ///
    /// # Errors
    /// Others have it.
    pub fn room(self: &Arc<Self>, bytes: u64, most: u64) -> Result<Room, NoRoom> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = taken.saturating_add(bytes);
        if *taken > 0 && all > most {
            return Err(NoRoom { taken: *taken, wanted: bytes, most });
        }
        let bytes = all - *taken;
        *taken = all;
        Ok(Room { receiving: Arc::clone(self), bytes })
    }
}

/// Room that is taken: whoever drops it gives it back, in a panic, too.
pub struct Room {
    receiving: Arc<Receiving>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        *self.receiving.0.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
    }
}
