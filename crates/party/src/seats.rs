//! The sessions that run, and those that wait for one: so many at a time, so many of one client, and no
//! more memory than the party has for all of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::messages::Obstacle;

/// What there is for all sessions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Sessions at a time.
    pub sessions: usize,
    /// Sessions of one client at a time.
    pub of_one: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Clients that may wait.
    pub waiting: usize,
}

/// What a session needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Whose it is: the client's name here, whichever of its keys it came with.
    pub client: String,
    /// Bytes of memory, as its program demands.
    pub memory: u64,
}

/// The seats of a party, and the line in front of them.
#[derive(Default)]
pub struct Seats {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Default)]
struct Inside {
    /// How many sessions each client has.
    taken: HashMap<String, usize>,
    /// What they hold of the memory.
    memory: u64,
    /// First come, first served.
    line: VecDeque<(u64, Need)>,
    numbers: u64,
    /// No session begins any more.
    closed: bool,
}

/// How things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// Sessions that run.
    pub taken: usize,
    /// Clients that wait.
    pub waiting: usize,
    /// Bytes of memory that sessions may take.
    pub memory: u64,
}

impl Inside {
    fn sessions(&self) -> usize {
        self.taken.values().sum()
    }

    fn of(&self, client: &str) -> usize {
        self.taken.get(client).copied().unwrap_or(0)
    }

    /// Whose turn it is. Who has as many sessions as one client may holds nobody up; who waits for memory
    /// does, or small programs would keep a large one out for ever.
    fn turn(&self, capacity: &Capacity) -> Option<u64> {
        if self.closed || self.sessions() >= capacity.sessions {
            return None;
        }
        let (number, need) = self.line.iter().find(|(_, need)| self.of(&need.client) < capacity.of_one)?;
        // One that is alone has been found to fit before it came here.
        let fits = self.taken.is_empty() || self.memory.saturating_add(need.memory) <= capacity.memory;
        fits.then_some(*number)
    }
}

impl Seats {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How things are.
    pub fn occupancy(&self) -> Occupancy {
        let inside = self.inside();
        Occupancy { taken: inside.sessions(), waiting: inside.line.len(), memory: inside.memory }
    }

    /// Sessions that a client has.
    pub fn taken_by(&self, client: &str) -> usize {
        self.inside().of(client)
    }

    /// A place at the end of the line.
    ///
    /// # Errors
    /// The line is as long as it may be, or no session begins any more.
    pub fn line_up(self: &Arc<Self>, need: Need, capacity: &Capacity) -> Result<Place, Obstacle> {
        let mut inside = self.inside();
        if inside.closed {
            return Err(Obstacle::Leaving);
        }
        // Who need not wait is in nobody's way.
        let seatless = inside.sessions() >= capacity.sessions || !inside.line.is_empty();
        if seatless && inside.line.len() >= capacity.waiting {
            return Err(Obstacle::Crowded(inside.line.len()));
        }
        inside.numbers += 1;
        let number = inside.numbers;
        inside.line.push_back((number, need.clone()));
        Ok(Place { seats: Arc::clone(self), number, need })
    }

    /// Lets no session begin any more; those that wait are told so.
    pub fn close(&self) {
        self.inside().closed = true;
        self.changed.notify_all();
    }

    /// Whether no session begins any more.
    pub fn is_closed(&self) -> bool {
        self.inside().closed
    }

    /// Has those who wait look again: there may be more room than before.
    pub fn look_again(&self) {
        self.changed.notify_all();
    }

    /// Waits until no session runs; whether that came before the deadline.
    pub fn emptied(&self, deadline: Instant) -> bool {
        let mut inside = self.inside();
        while !inside.taken.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            inside = self.changed.wait_timeout(inside, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// A place in the line: whoever drops it leaves the line.
pub struct Place {
    seats: Arc<Seats>,
    number: u64,
    need: Need,
}

impl Place {
    /// Waits for its turn until some moment; `Ok` with how many are before it where it has not come.
    ///
    /// # Errors
    /// No session begins any more.
    pub fn seat(&self, capacity: &Capacity, until: Instant) -> Result<Result<Seat, usize>, Obstacle> {
        let mut inside = self.seats.inside();
        loop {
            if inside.closed {
                return Err(Obstacle::Leaving);
            }
            if inside.turn(capacity) == Some(self.number) {
                inside.line.retain(|(number, _)| *number != self.number);
                *inside.taken.entry(self.need.client.clone()).or_insert(0) += 1;
                inside.memory = inside.memory.saturating_add(self.need.memory);
                // The next in line may have a seat, too.
                self.seats.changed.notify_all();
                return Ok(Ok(Seat { seats: Arc::clone(&self.seats), need: self.need.clone() }));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let before = inside.line.iter().take_while(|(number, _)| *number != self.number).count();
                return Ok(Err(before));
            }
            inside = self.seats.changed.wait_timeout(inside, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.seats.inside().line.retain(|(number, _)| *number != self.number);
        self.seats.changed.notify_all();
    }
}

/// A session's seat: whoever drops it gives it back, in a panic, too.
pub struct Seat {
    seats: Arc<Seats>,
    need: Need,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inside = self.seats.inside();
        inside.memory = inside.memory.saturating_sub(self.need.memory);
        if let Some(own) = inside.taken.get_mut(&self.need.client) {
            *own -= 1;
            if *own == 0 {
                inside.taken.remove(&self.need.client);
            }
        }
        drop(inside);
        self.seats.changed.notify_all();
    }
}
