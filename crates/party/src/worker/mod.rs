//! [`Worker`]: where a session runs. By default in a process of its own: whatever happens to it, an
//! abort included, ends that session alone. Where a system has no such processes (an enclave), in a
//! thread of the party's.
//!
//! Either way nothing of a session's traffic goes through the party's own process: a connection names
//! the session in its first message ([`cryptflow_wire::tls::Arrival`]), and is handed to the worker
//! before it is answered.

#[cfg(unix)]
mod commons;
#[cfg(unix)]
mod control;
#[cfg(unix)]
mod inside;
#[cfg(unix)]
mod process;
mod teller;

use std::io;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use cryptflow_wire::tls::Arrival;
use cryptflow_wire::{Reason, WireError};

use crate::audit::Head;
use crate::config::Process;
use crate::doors::Knock;
use crate::ending::Ending;
use crate::messages::SessionError;
use crate::rendezvous::Rendezvous;
use crate::session::{Order, Session, Wish};
use crate::site::Site;
use crate::surviving::surviving;
use crate::watch::{Followed, Reporter};

#[cfg(unix)]
pub use inside::session_process;

/// Makes the command of a session's process, which must do nothing but call [`session_process`]. Its
/// standard input is set by whoever starts it.
pub type SessionCommand = Box<dyn Fn() -> io::Result<Command> + Send + Sync>;

/// Settings of the C library's allocator, for the processes of parties and of sessions: every step
/// takes and returns buffers of many megabytes, and by default each of them is given back to the system
/// and cleared anew. One arena keeps the memory of all threads together. Neither changes what is
/// computed; a setting of the user's own is left alone.
pub const ALLOCATOR: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
    ("MALLOC_TRIM_THRESHOLD_", "8589934592"),
    ("MALLOC_ARENA_MAX", "1"),
];

/// Starts workers.
pub(crate) struct Workers {
    #[cfg(unix)]
    pool: Arc<process::Pool>,
}

/// A session that can begin.
pub(crate) enum Worker {
    /// In a process of its own.
    #[cfg(unix)]
    Process(process::Prepared),
    /// In the thread that has it run.
    Thread { session: Box<Session>, entrance: Entrance, ending: Arc<Ending> },
}

/// Ends a session before its time.
#[derive(Clone)]
pub(crate) enum Ender {
    #[cfg(unix)]
    Process(Arc<process::Door>),
    Thread(Arc<Ending>),
}

impl Ender {
    /// Everybody in the session hears the reason.
    pub(crate) fn end(&self, reason: Reason) {
        match self {
            #[cfg(unix)]
            Ender::Process(door) => door.end(reason),
            Ender::Thread(ending) => ending.end(reason),
        }
    }
}

/// The way into a session, for those who come to it.
#[derive(Clone)]
pub(crate) enum Entrance {
    #[cfg(unix)]
    Process(Arc<process::Door>),
    Thread {
        room: Arc<Rendezvous>,
        site: Arc<Site>,
    },
}

/// What a session tells while it runs.
pub(crate) enum News {
    /// What the other parties have shown of their logs.
    Shown(Vec<(usize, Head)>),
    /// Somebody has come who has no part in it.
    NotLetIn { peer: String, reason: String },
}

impl Workers {
    pub(crate) fn new(command: SessionCommand) -> Workers {
        #[cfg(not(unix))]
        drop(command);
        Workers {
            #[cfg(unix)]
            pool: Arc::new(process::Pool::new(command)),
        }
    }

    /// Has processes ready, where sessions run in such: the next ones need not wait for them.
    ///
    /// # Errors
    /// None can be started.
    pub(crate) fn get_ready(&self, site: &Arc<Site>) -> io::Result<()> {
        match site.config.session.process {
            #[cfg(unix)]
            Process::Own => self.pool.refill(site),
            #[cfg(not(unix))]
            Process::Own => Ok(()),
            Process::Shared => Ok(()),
        }
    }

    /// Has a session prepared: the model is read, and everything is checked that can be before others
    /// are heard.
    ///
    /// # Errors
    /// Why the session cannot be.
    pub(crate) fn prepare(&self, site: &Arc<Site>, order: Order) -> Result<Worker, SessionError> {
        match site.config.session.process {
            #[cfg(unix)]
            Process::Own => self.pool.prepare(site, order).map(Worker::Process),
            #[cfg(not(unix))]
            Process::Own => Err(SessionError::Process("this system has none for it".into())),
            Process::Shared => {
                let room = Arc::new(order.rendezvous(site));
                let ending = Ending::new();
                let prepare = || {
                    Session::prepare(Arc::clone(site), Arc::clone(&room), Arc::clone(&ending), order, None)
                };
                let session = Box::new(surviving(prepare)?);
                let entrance = Entrance::Thread { room, site: Arc::clone(site) };
                Ok(Worker::Thread { session, entrance, ending })
            }
        }
    }
}

impl Worker {
    /// The way into the session.
    pub(crate) fn entrance(&self) -> Entrance {
        match self {
            #[cfg(unix)]
            Worker::Process(prepared) => Entrance::Process(prepared.door()),
            Worker::Thread { entrance, .. } => entrance.clone(),
        }
    }

    /// What ends it before its time.
    pub(crate) fn ender(&self) -> Ender {
        match self {
            #[cfg(unix)]
            Worker::Process(prepared) => Ender::Process(prepared.door()),
            Worker::Thread { ending, .. } => Ender::Thread(Arc::clone(ending)),
        }
    }

    /// Runs the session to its end; returns what the evidence of the other parties said. `asked` is the
    /// connection over which the client has asked for it ([`Wish`]), `head` that of this party's log, `followed` hears how far it is.
    ///
    /// # Errors
    /// Whatever ended the session before its time.
    pub(crate) fn run(
        self,
        asked: TcpStream,
        head: &Head,
        followed: &Arc<Followed>,
        told: &mut dyn FnMut(News),
    ) -> Result<Vec<String>, SessionError> {
        match self {
            #[cfg(unix)]
            Worker::Process(prepared) => prepared.run(asked, head, followed, told),
            Worker::Thread { session, .. } => {
                let wish = Wish::over(asked).map_err(|e| SessionError::Process(e.to_string()))?;
                let followed = Arc::clone(followed);
                let reporter = Reporter::to(move |progress| followed.progress(progress.clone()));
                surviving(|| session.run(wish, head, reporter, |heads| told(News::Shown(heads))))
            }
        }
    }
}

impl Entrance {
    /// Takes somebody in who has come to the session. `knock` is its place among strangers, as long as
    /// it is one.
    ///
    /// # Errors
    /// It is not let in.
    pub(crate) fn pass(&self, arrival: Arrival, knock: Knock) -> Result<(), WireError> {
        match self {
            #[cfg(unix)]
            Entrance::Process(door) => {
                door.pass(arrival, knock);
                Ok(())
            }
            Entrance::Thread { room, site } => room.let_in(arrival, site),
        }
    }
}
