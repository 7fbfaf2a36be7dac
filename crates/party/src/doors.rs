//! Who is inside: strangers for a moment, while they prove who they are; then clients, each with places of
//! its own, so that nobody can take those of others. Who comes to a session has its place there.

use std::collections::HashMap;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Connections that have not said yet whose they are, at a time.
pub const STRANGERS: usize = 256;

/// Time to prove who one is, and to say what one is.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(5);

/// Whose places are counted together, with whichever of its keys it comes: while a key is renewed, there are two.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// A party.
    Party(usize),
    /// A client, by its name here.
    Client(String),
}

/// Connections of one client at a time.
pub const OF_A_CLIENT: usize = 16;

/// Connections of all clients at a time.
pub const OF_CLIENTS: usize = 256;

/// Why somebody is not let in who has proved to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// By itself.
    #[error("{0} connections of this client are open here already")]
    OfThisClient(usize),
    /// By clients.
    #[error("{0} connections of clients are open here already; try again later")]
    OfClients(usize),
}

/// A connection that has not said yet whose it is.
struct Stranger {
    number: u64,
    address: IpAddr,
    socket: TcpStream,
}

#[derive(Default)]
struct Inside {
    knocks: u64,
    /// The longest first.
    strangers: Vec<Stranger>,
    known: HashMap<Known, usize>,
    clients: usize,
}

/// The places of a party.
#[derive(Default)]
pub struct Doors(Mutex<Inside>);

impl Doors {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a stranger. Where there are too many of them, one has to go, of the address that has
    /// most, the one that has been silent for longest: an honest one needs a moment.
    ///
    /// # Errors
    /// The system gives no second handle of the connection, or does not say where it comes from.
    pub fn knock(self: &Arc<Self>, socket: &TcpStream) -> std::io::Result<Knock> {
        let stranger = socket.try_clone()?;
        let address = socket.peer_addr()?.ip();
        let mut inside = self.inside();
        inside.knocks += 1;
        let number = inside.knocks;
        inside.strangers.push(Stranger { number, address, socket: stranger });
        if inside.strangers.len() > STRANGERS {
            let mut of = HashMap::new();
            inside.strangers.iter().for_each(|one| *of.entry(one.address).or_insert(0usize) += 1);
            let most = of.values().copied().max().unwrap_or(0);
            let longest = inside.strangers.iter().position(|one| of.get(&one.address) == Some(&most));
            if let Some(longest) = longest {
                // Its thread finds it closed.
                let _ = inside.strangers.remove(longest).socket.shutdown(Shutdown::Both);
            }
        }
        Ok(Knock { doors: Arc::clone(self), number })
    }

    /// Takes in a client.
    ///
    /// # Errors
    /// There are as many already, of this one or of all, as may be.
    pub fn client(self: &Arc<Self>, who: Known) -> Result<Guest, Full> {
        let mut inside = self.inside();
        if inside.clients >= OF_CLIENTS {
            return Err(Full::OfClients(OF_CLIENTS));
        }
        let own = inside.known.entry(who.clone()).or_insert(0);
        if *own >= OF_A_CLIENT {
            return Err(Full::OfThisClient(OF_A_CLIENT));
        }
        *own += 1;
        inside.clients += 1;
        Ok(Guest { doors: Arc::clone(self), who })
    }
}

/// A stranger's place, given back when it is dropped.
pub struct Knock {
    doors: Arc<Doors>,
    number: u64,
}

impl Drop for Knock {
    fn drop(&mut self) {
        self.doors.inside().strangers.retain(|one| one.number != self.number);
    }
}

/// The place of a client, given back when it is dropped, in a panic, too.
pub struct Guest {
    doors: Arc<Doors>,
    who: Known,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inside = self.doors.inside();
        inside.clients -= 1;
        if let Some(own) = inside.known.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                inside.known.remove(&self.who);
            }
        }
    }
}

/// Lets so many of a kind through a minute, and counts the others: strangers must not fill a log.
#[derive(Default)]
pub struct Sparing {
    since: Option<Instant>,
    through: u32,
    left_out: u64,
}

impl Sparing {
    /// How many.
    pub const A_MINUTE: u32 = 30;

    /// How many were left out since the last one that was let through; nothing where this one is.
    pub fn next(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(60)) {
            (self.since, self.through) = (Some(now), 0);
        }
        if self.through >= Sparing::A_MINUTE {
            self.left_out += 1;
            return None;
        }
        self.through += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}
