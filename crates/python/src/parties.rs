//! The parties on this machine, for as long as somebody wants them: sessions that hold a program
//! and its weights, and run it again and again.

use std::ffi::OsString;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cryptflow::client::Client;
use cryptflow::local::{self, Executable};
use cryptflow::report::Report;
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::{Link, Network};
use pyo3::prelude::*;

use crate::arrays::Bytes;
use crate::command::through;
use crate::failure::Failure;
use crate::job::{self, Outcome};
use crate::program::{Model, Program, protocol};
use crate::waiting::{self, Teller};

/// Programs that are held at a time; each has processes of its own.
const HELD: usize = 4;

/// How processes are started.
struct Launch {
    executable: Executable,
    protocol: ProtocolName,
    deadline: Duration,
    network: Option<Network>,
}

/// Processes that are up, and linked with this one.
type Up = (local::Parties, Vec<Link>);

impl Launch {
    fn launch(&self) -> Result<Up, Failure> {
        let parties = self.protocol.facts().parties;
        Ok(local::Parties::launch(&self.executable, parties, self.deadline, self.network)?)
    }
}

/// Something to run.
struct Work {
    inputs: Vec<Bytes>,
    raw: bool,
    teller: Teller,
    answer: Sender<Result<Outcome, Failure>>,
}

/// The processes of a session. Whoever takes them out ends them.
type Processes = Arc<Mutex<Option<local::Parties>>>;

/// A session with parties that hold a program.
struct Session {
    model: Arc<Model>,
    work: Sender<Work>,
    processes: Processes,
    ids: Vec<u32>,
    thread: JoinHandle<()>,
}

impl Session {
    /// Begins it on a thread, which holds it until nobody has work any more.
    fn begin(model: Arc<Model>, (parties, links): Up, protocol: ProtocolName) -> Result<Session, Failure> {
        let (work, wanted) = mpsc::channel();
        let ids = parties.ids();
        let processes: Processes = Arc::new(Mutex::new(Some(parties)));
        let (held, own) = (Arc::clone(&model), Arc::clone(&processes));
        let thread = thread::Builder::new()
            .name("cryptflow session".into())
            .spawn(move || hold(&held, links, protocol, &wanted, &own))
            .map_err(|e| Failure::bug(format_args!("no thread can be started: {e}")))?;
        Ok(Session { model, work, processes, ids, thread })
    }

    /// Ends it as it should end.
    fn end(self) {
        drop(self.work);
        // A thread that panicked has dropped all that it held.
        let _ = self.thread.join();
    }
}

/// A session, from its beginning to its end.
fn hold(
    model: &Model,
    links: Vec<Link>,
    protocol: ProtocolName,
    wanted: &Receiver<Work>,
    processes: &Processes,
) {
    let begun = model.weights().and_then(|weights| {
        let client = Client::begin(links, &model.program, protocol).map_err(Failure::party)?;
        client.deploy(weights).map_err(Failure::party)?;
        Ok(client)
    });
    let client = match begun {
        Ok(client) => client,
        Err(failure) => {
            let failure = explained(processes, failure);
            // Whoever began a session has work for it.
            if let Ok(work) = wanted.recv() {
                let _ = work.answer.send(Err(failure));
            }
            return;
        }
    };
    while let Ok(Work { inputs, raw, teller, answer }) = wanted.recv() {
        let job = match model.job(inputs) {
            Ok(job) => job,
            Err(failure) => {
                let _ = answer.send(Err(failure));
                continue;
            }
        };
        let total = job.steps();
        let sent = client.sent();
        let mut report = Report::of(protocol);
        let mut progress = |done, step: &_| teller.tell(done, total, || job::step(step));
        match job.run(&client, &mut progress, &mut report, &mut None) {
            Ok(given) => {
                report.bytes.share = client.sent() - sent;
                let _ = answer.send(model.outcome(&job, &given, report, raw));
            }
            // The session is over for everybody.
            Err(error) => {
                let _ = answer.send(Err(explained(processes, Failure::party(error))));
                return;
            }
        }
    }
    // The parties leave by themselves; who does not is ended.
    let finished = client.finish().map(drop).map_err(cryptflow::Error::new);
    if let Some(parties) = lock(processes).take() {
        let _ = parties.end(finished);
    }
}

/// A failure, and what became of the processes.
fn explained(processes: &Processes, failure: Failure) -> Failure {
    match lock(processes).take() {
        Some(parties) => failure.and(|text| match parties.end::<()>(Err(cryptflow::Error::new(text))) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }),
        None => failure,
    }
}

/// What a mutex protects here is whole at all times.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What there is.
struct Held {
    /// Processes that have no program yet.
    fresh: Option<Up>,
    /// The one that was used last comes last.
    sessions: Vec<Session>,
}

/// The parties, a process each on this machine.
#[pyclass(frozen, module = "cryptflow._native")]
pub(crate) struct Parties {
    launch: Launch,
    /// None after the end.
    held: Mutex<Option<Held>>,
    /// The process that started them: a copy of it (`fork`) has no right to end them.
    process: u32,
}

impl Parties {
    /// The session that holds this program, taken out of what is held, where there is one.
    fn held(&self, model: &Arc<Model>) -> Result<Option<Session>, Failure> {
        let mut held = lock(&self.held);
        let held = held.as_mut().ok_or_else(ended)?;
        let place = held.sessions.iter().position(|session| Arc::ptr_eq(&session.model, model));
        let session = place.map(|place| held.sessions.remove(place));
        Ok(session.filter(|session| !session.thread.is_finished()))
    }

    /// Begins one.
    fn begin(&self, model: &Arc<Model>) -> Result<Session, Failure> {
        let fresh = lock(&self.held).as_mut().ok_or_else(ended)?.fresh.take();
        let up = match fresh {
            Some(up) => up,
            None => self.launch.launch()?,
        };
        Session::begin(Arc::clone(model), up, self.launch.protocol)
    }

    /// Keeps a session for its next use, and ends the one that was used least recently, where there
    /// are too many.
    fn keep(&self, session: Session) {
        let surplus = match lock(&self.held).as_mut() {
            Some(held) => {
                held.sessions.push(session);
                (held.sessions.len() > HELD).then(|| held.sessions.remove(0))
            }
            None => Some(session),
        };
        if let Some(surplus) = surplus {
            surplus.end();
        }
    }

    fn finish(&self) {
        let held = lock(&self.held).take();
        if self.process != std::process::id() {
            // Threads are not copied, and the processes are another's.
            std::mem::forget(held);
            return;
        }
        held.into_iter().flat_map(|held| held.sessions).for_each(Session::end);
    }
}

fn ended() -> Failure {
    Failure::new("party", "the parties have been ended; start others: with cryptflow.local() as parties: …")
}

#[pymethods]
impl Parties {
    /// Starts the processes of the parties.
    #[new]
    fn new(
        py: Python<'_>,
        executable: Vec<OsString>,
        protocol: &str,
        timeout: f64,
        rtt: Option<f64>,
        bandwidth: Option<f64>,
    ) -> PyResult<Parties> {
        let deadline = Duration::try_from_secs_f64(timeout).ok().filter(|timeout| !timeout.is_zero());
        let deadline = deadline
            .ok_or_else(|| Failure::option(format_args!("timeout={timeout}: give a number of seconds")));
        let launch = Launch {
            executable: through(executable),
            protocol: self::protocol(py, protocol)?,
            deadline: deadline.map_err(|failure| failure.raise(py))?,
            network: local::network(rtt, bandwidth).map_err(|e| Failure::option(e).raise(py))?,
        };
        let launched = waiting::work(py, None, |_| launch.launch());
        let held = Held { fresh: Some(launched?), sessions: Vec::new() };
        Ok(Parties { launch, held: Mutex::new(Some(held)), process: std::process::id() })
    }

    /// Runs a program.
    fn run(
        &self,
        py: Python<'_>,
        program: &Bound<'_, Program>,
        inputs: Vec<Bytes>,
        raw: bool,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Outcome> {
        let model = &program.get().model;
        let held = self.held(model).map_err(|failure| failure.raise(py))?;
        let session = match held {
            Some(session) => session,
            None => waiting::work(py, None, |_| self.begin(model))?,
        };
        let (teller, told) = Teller::new(progress.is_some());
        let (answer, answered) = mpsc::channel();
        let sent = session.work.send(Work { inputs, raw, teller, answer });
        let processes = Arc::clone(&session.processes);
        let followed = waiting::follow(py, told, progress, &|| drop(lock(&processes).take()));
        let answered = answered.recv();
        let outcome = match (sent, answered) {
            (Ok(()), Ok(outcome)) => outcome,
            _ => Err(Failure::bug("the session ended without an answer; this is a mistake of cryptflow")),
        };
        match &outcome {
            Ok(_) if followed.is_ok() => self.keep(session),
            // What was given was wrong, and the session has begun nothing.
            Err(failure) if followed.is_ok() && !failure.ends_session() => self.keep(session),
            _ => py.detach(|| session.end()),
        }
        followed?;
        outcome.map_err(|failure| failure.raise(py))
    }

    /// The process ids of all parties.
    fn processes(&self) -> Vec<u32> {
        let held = lock(&self.held);
        let Some(held) = held.as_ref() else { return Vec::new() };
        let fresh = held.fresh.iter().flat_map(|(parties, _)| parties.ids());
        fresh.chain(held.sessions.iter().flat_map(|session| session.ids.clone())).collect()
    }

    /// Ends the processes. There may be none any more.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.finish());
    }
}

impl Drop for Parties {
    fn drop(&mut self) {
        self.finish();
    }
}
