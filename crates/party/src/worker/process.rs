//! The party's side of a session in a process of its own.
//!
//! Such processes wait for the next sessions, so that nobody waits for one. What they are told of the
//! site is what the party itself has read; the site's key they read from its file.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use cryptflow_wire::Reason;
use cryptflow_wire::tls::Arrival;

use super::commons::{Commons, InCommon};
use super::control::{Control, Instruction, Report};
use super::{ALLOCATOR, News, SessionCommand};
use crate::audit::Head;
use crate::doors::Knock;
use crate::messages::SessionError;
use crate::session::Order;
use crate::site::Site;
use crate::watch::Followed;

/// Time for a process to take a message, and to end once its session has ended.
const SOON: Duration = Duration::from_secs(2);

/// Processes that wait. One is taken by a session, and another is started only a while after that
/// ([`PAUSE`]): meanwhile there is one for whoever comes next.
const SPARES: usize = 2;

/// How long after a session has begun the next process is started: that takes milliseconds of a processor,
/// as much as a small network, and the session comes first.
const PAUSE: Duration = Duration::from_millis(250);

/// The processes of sessions to come.
pub(crate) struct Pool {
    command: SessionCommand,
    /// Those that wait, and the site that they were started for.
    spares: Mutex<Spares>,
    /// Somebody is about to start more of them.
    soon: AtomicBool,
    commons: Commons,
}

#[derive(Default)]
struct Spares {
    site: Option<Arc<Site>>,
    waiting: Vec<Running>,
}

impl Spares {
    /// Those that know this site, and no older one.
    fn of(&mut self, site: &Arc<Site>) -> &mut Vec<Running> {
        if self.site.as_ref().is_none_or(|of| !Arc::ptr_eq(of, site)) {
            self.waiting.clear();
            self.site = Some(Arc::clone(site));
        }
        // Nor one that has ended meanwhile.
        self.waiting.retain_mut(|spare| spare.child.try_wait().is_ok_and(|ended| ended.is_none()));
        &mut self.waiting
    }
}

impl Pool {
    pub(crate) fn new(command: SessionCommand) -> Pool {
        Pool { command, spares: Mutex::default(), soon: AtomicBool::new(false), commons: Commons::default() }
    }

    fn spares(&self) -> MutexGuard<'_, Spares> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts processes that wait, until there are as many for this site as there should be.
    pub(crate) fn refill(&self, site: &Arc<Site>) -> io::Result<()> {
        self.fill(self.spares().of(site), site)
    }

    fn fill(&self, waiting: &mut Vec<Running>, site: &Site) -> io::Result<()> {
        while waiting.len() < SPARES {
            waiting.push(self.start(site)?);
        }
        Ok(())
    }

    /// The same, a while from now. Best effort: whoever finds no process starts one, and tells why that
    /// fails.
    pub(crate) fn refill_soon(self: &Arc<Self>, site: &Arc<Site>) {
        if self.soon.swap(true, Ordering::Relaxed) {
            return;
        }
        let (pool, site) = (Arc::clone(self), Arc::clone(site));
        let refill = move || {
            thread::sleep(PAUSE);
            pool.soon.store(false, Ordering::Relaxed);
            let mut spares = pool.spares();
            // The site may be another by now: who has changed it has started processes for that.
            if spares.site.as_ref().is_some_and(|of| Arc::ptr_eq(of, &site)) {
                let _ = pool.fill(spares.of(&site), &site);
            }
        };
        if thread::Builder::new().name("spares".into()).spawn(refill).is_err() {
            self.soon.store(false, Ordering::Relaxed);
        }
    }

    fn start(&self, site: &Site) -> io::Result<Running> {
        let (own, theirs) = UnixStream::pair()?;
        let child = (self.command)()?
            .envs(ALLOCATOR.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            // What interrupts the party at a terminal is for the party.
            .process_group(0)
            .spawn()?;
        let door = Arc::new(Door { control: Control::over(own), held: Mutex::default() });
        let running = Running { child, door };
        // A process that stands still must not hold up those who speak with it.
        running.door.control.socket().set_write_timeout(Some(SOON))?;
        running.door.control.send(&Instruction::Site(site.config.source.clone()), None)?;
        Ok(running)
    }

    /// Has a process prepare a session: the one that waits, or a new one.
    pub(crate) fn prepare(
        self: &Arc<Self>,
        site: &Arc<Site>,
        order: Order,
    ) -> Result<Prepared, SessionError> {
        let none = |e: io::Error| SessionError::Process(format!("it cannot be started: {e}"));
        let waiting = self.spares().of(site).pop();
        self.refill_soon(site);
        let mut running = match waiting {
            Some(running) => running,
            None => self.start(site).map_err(none)?,
        };
        let patience = site.config.session.deadline;
        let socket = running.door.control.socket();
        socket.set_read_timeout(Some(patience)).map_err(none)?;
        let weights = self.commons.of(site, &order);
        running.tell(&Instruction::Prepare(Box::new(order)), weights.memory())?;
        loop {
            match running.hear(patience)? {
                Report::Prepared => return Ok(Prepared { running, patience, _weights: weights }),
                Report::Refused { code, reason } => return Err(SessionError::Reported { code, reason }),
                Report::Alive => {}
                Report::Shown(_) | Report::Settled { .. } | Report::Progress(_) | Report::Ended(_) => {
                    return Err(disobedient());
                }
            }
        }
    }
}

/// A session that can begin in its process.
pub(crate) struct Prepared {
    running: Running,
    /// How long the process may say nothing.
    patience: Duration,
    /// For other sessions of the model, as long as this one lasts.
    _weights: Arc<InCommon>,
}

impl Prepared {
    pub(crate) fn door(&self) -> Arc<Door> {
        Arc::clone(&self.running.door)
    }

    pub(crate) fn run(
        mut self,
        asked: TcpStream,
        head: &Head,
        followed: &Followed,
        told: &mut dyn FnMut(News),
    ) -> Result<Vec<String>, SessionError> {
        self.running.tell(&Instruction::Begin(head.clone()), Some(asked.as_fd()))?;
        drop(asked);
        loop {
            match self.running.hear(self.patience)? {
                Report::Shown(heads) => told(News::Shown(heads)),
                Report::Settled { number, not_let_in } => {
                    self.running.door.held().knocks.remove(&number);
                    if let Some((peer, reason)) = not_let_in {
                        told(News::NotLetIn { peer, reason });
                    }
                }
                Report::Progress(progress) => followed.progress(progress),
                Report::Alive => {}
                Report::Ended(result) => {
                    self.running.let_end();
                    return result.map_err(|(code, reason)| SessionError::Reported { code, reason });
                }
                Report::Prepared | Report::Refused { .. } => return Err(disobedient()),
            }
        }
    }
}

/// The way into a session's process.
pub(crate) struct Door {
    control: Control,
    held: Mutex<Held>,
}

/// The places of those who were handed over and have not proved yet who they are.
#[derive(Default)]
struct Held {
    arrivals: u64,
    knocks: HashMap<u64, Knock>,
}

impl Door {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the session end, and everybody in it hear why.
    pub(crate) fn end(&self, reason: Reason) {
        let end = Instruction::End { code: reason.kind.into(), reason: reason.text };
        if self.control.send(&end, None).is_err() {
            // It does not listen: whoever waits for it finds that out, and kills it.
            let _ = self.control.socket().shutdown(Shutdown::Both);
        }
    }

    /// Hands over somebody who has come. It stays a stranger among strangers, and can be sent away as
    /// one, until the process says that it is known.
    pub(crate) fn pass(&self, arrival: Arrival, knock: Knock) {
        let (socket, heard) = arrival.handed_over();
        let number = {
            let mut held = self.held();
            held.arrivals += 1;
            let number = held.arrivals;
            held.knocks.insert(number, knock);
            number
        };
        if self.control.send(&Instruction::Arrival { number, heard }, Some(socket.as_fd())).is_err() {
            // What was said may be half of a message: whoever listens for its end finds it.
            let _ = self.control.socket().shutdown(Shutdown::Both);
        }
    }
}

/// A process. It ends with what holds it.
struct Running {
    child: Child,
    door: Arc<Door>,
}

impl Running {
    fn tell(&mut self, instruction: &Instruction, with: Option<BorrowedFd<'_>>) -> Result<(), SessionError> {
        self.door.control.send(instruction, with).map_err(|_| self.fate())
    }

    /// What the process reports next. It gives signs of life: where it says nothing, it stands still.
    fn hear(&mut self, patience: Duration) -> Result<Report, SessionError> {
        match self.door.control.receive() {
            Ok(Some((report, _))) => Ok(report),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let seconds = patience.as_secs();
                Err(SessionError::Process(format!("it stood still for {seconds} s, and was killed")))
            }
            Ok(None) | Err(_) => Err(self.fate()),
        }
    }

    /// How a process has ended that says nothing any more.
    fn fate(&mut self) -> SessionError {
        // One that has ended ends no other way: this is for one that has only closed its ears.
        let _ = self.child.kill();
        SessionError::Process(match self.child.wait() {
            Ok(status) => end_of(status),
            Err(error) => error.to_string(),
        })
    }

    /// Leaves a process that has done its work the time to end.
    fn let_end(&mut self) {
        let socket = self.door.control.socket();
        if socket.set_read_timeout(Some(SOON)).is_ok() {
            // Whatever else it says, its end is the end.
            while let Ok(Some(_)) = self.door.control.receive::<Report>() {}
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail for a process that has ended, and was waited for, already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Others may still hold the door.
        self.door.held().knocks.clear();
        let _ = self.door.control.socket().shutdown(Shutdown::Both);
    }
}

fn disobedient() -> SessionError {
    SessionError::Process("it does not do as it is told".into())
}

/// How a process has ended, for people.
fn end_of(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else { return format!("{status}") };
    let name = match signal {
        4 => " (a forbidden instruction)",
        6 => {
            " (abort: it had no more memory, or there is a mistake in this program; what it said of that is in this party's log)"
        }
        7 => " (a bad memory access)",
        9 => " (killed: by the system, where memory ran out, or by its operator)",
        11 => " (a bad memory access)",
        15 => " (asked to end)",
        // Others have no common cause.
        _ => "",
    };
    format!("signal {signal}{name}")
}
