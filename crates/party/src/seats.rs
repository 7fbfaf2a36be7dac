//! The sessions that run: so many at a time, and so many of one client, so that none keeps the others
//! out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cryptflow_wire::tls::Fingerprint;

use crate::messages::Obstacle;

/// How many sessions each client has.
#[derive(Default)]
pub(crate) struct Seats(Mutex<HashMap<Fingerprint, usize>>);

impl Seats {
    /// Sessions that run.
    pub(crate) fn taken(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// A seat for a session of the client with this key, among so many of all clients, and of one.
    ///
    /// # Errors
    /// There is none left.
    pub(crate) fn take(
        self: &Arc<Self>,
        client: Fingerprint,
        (of_all, of_one): (usize, usize),
    ) -> Result<Seat, Obstacle> {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.values().sum::<usize>() >= of_all {
            return Err(Obstacle::Busy(of_all));
        }
        let own = seats.entry(client).or_insert(0);
        if *own >= of_one {
            return Err(Obstacle::BusyForThis(of_one));
        }
        *own += 1;
        Ok(Seat { seats: Arc::clone(self), client })
    }
}

/// A session's seat: whoever drops it gives it back, in a panic, too.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    client: Fingerprint,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = seats.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                seats.remove(&self.client);
            }
        }
    }
}
