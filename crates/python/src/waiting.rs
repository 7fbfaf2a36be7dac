//! Python waits while Rust works: without the interpreter's lock, looking for signals, and telling
//! Python how far the work is.
//!
//! The work is done by a thread of its own, as a thread that works cannot look for signals. When
//! Python wants no more of it (Ctrl-C, or an exception in the callback), the work is told so.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

use crate::failure::Failure;

/// How long a signal may wait.
const PATIENCE: Duration = Duration::from_millis(50);
/// What a thread has on the systems where the main one has most.
const STACK: usize = 16 << 20;

/// How far the work is: so many of so many, and what is being done.
pub(crate) type Told = (usize, usize, String);

/// What the waiting side hears of.
pub(crate) enum Event {
    /// How far the work is.
    Told(Told),
    /// The work waits until all that was told before was heard: until this is dropped.
    Awaited(Sender<()>),
}

/// What the working side has of the waiting one.
#[derive(Clone)]
pub(crate) struct Teller {
    events: Sender<Event>,
    /// Somebody listens.
    heard: bool,
    stopped: Arc<AtomicBool>,
}

/// What unwinds a thread whose work nobody wants any more.
struct Stopped;

impl Teller {
    /// Both sides; `heard` says whether anybody wants to be told.
    pub(crate) fn new(heard: bool) -> (Teller, Receiver<Event>) {
        let (events, told) = mpsc::channel();
        (Teller { events, heard, stopped: Arc::default() }, told)
    }

    /// Tells how far the work is.
    pub(crate) fn tell(&self, done: usize, total: usize, what: impl FnOnce() -> String) {
        if self.heard {
            // The other side may have given up already.
            let _ = self.events.send(Event::Told((done, total, what())));
        }
    }

    /// Waits until all that was told was heard, and goes on where the work is still wanted: what follows cannot be taken
    /// back.
    pub(crate) fn heard_out(&self) {
        let (awaited, heard) = mpsc::channel();
        if self.events.send(Event::Awaited(awaited)).is_ok() {
            // Nothing comes: the other end goes.
            let _ = heard.recv();
        }
        self.go_on();
    }

    /// Whether nobody wants its work any more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Ends the thread where nobody wants its work any more. There is no other way out of a
    /// compiler that knows of no such wish; what unwinds frees all that it holds, and no panic is
    /// reported.
    pub(crate) fn go_on(&self) {
        if self.is_stopped() {
            resume_unwind(Box::new(Stopped));
        }
    }
}

/// Waits until everybody who could tell something is gone, calling `callback` with what is told.
/// Where Python raises, `stop` is called, and the exception is returned once the work has ended.
pub(crate) fn follow(
    py: Python<'_>,
    told: Receiver<Event>,
    callback: Option<&Bound<'_, PyAny>>,
    stop: &(dyn Fn() + Sync),
) -> PyResult<()> {
    let mut raised: Option<PyErr> = None;
    let mut told = told;
    loop {
        // Borrowed as something that nobody else can use meanwhile, a receiver may be waited for by
        // a detached thread.
        let alone = &mut told;
        let answer = match py.detach(move || alone.recv_timeout(PATIENCE)) {
            Err(RecvTimeoutError::Disconnected) => return raised.map_or(Ok(()), Err),
            _ if raised.is_some() => continue,
            Err(RecvTimeoutError::Timeout) => py.check_signals(),
            Ok(Event::Awaited(awaited)) => {
                drop(awaited);
                Ok(())
            }
            Ok(Event::Told((done, total, what))) => match callback {
                Some(callback) => callback.call1((done, total, what)).map(drop),
                None => Ok(()),
            },
        };
        if let Err(error) = answer.and_then(|()| py.check_signals()) {
            stop();
            raised = Some(error);
        }
    }
}

/// Does some work beside Python.
pub(crate) fn work<T: Send>(
    py: Python<'_>,
    callback: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Teller) -> Result<T, Failure> + Send,
) -> PyResult<T> {
    let (teller, told) = Teller::new(callback.is_some());
    let stopped = Arc::clone(&teller.stopped);
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("cryptflow".into())
            .stack_size(STACK)
            .spawn_scoped(scope, move || work(&teller))
            .map_err(|e| Failure::bug(format_args!("no thread can be started: {e}")).raise(py))?;
        let followed = follow(py, told, callback, &|| stopped.store(true, Ordering::Relaxed));
        let joined = py.detach(|| worker.join());
        followed?;
        match joined {
            Ok(done) => done.map_err(|failure| failure.raise(py)),
            Err(_) => {
                Err(Failure::bug("the work ended with a panic; this is a mistake of cryptflow").raise(py))
            }
        }
    })
}
