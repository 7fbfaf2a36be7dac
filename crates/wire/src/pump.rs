//! The two threads of a link.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::emulate::Line;
use crate::error::WireError;
use crate::frame::{FrameKind, Header, encode_reason};
use crate::reading::{ended, read};
use crate::reason::Reason;
use crate::shared::{Bell, LINGER, Outgoing, Shared, State, held};
use crate::stream::{Control, Sink};

/// Longer than any wait: whoever waits is woken by changes, not by time.
pub(crate) const FOREVER: Duration = Duration::from_secs(1 << 30);
/// After a failed write, how long the receiver thread has to find out why (the peer's own reason is
/// the better one).
const VERDICT: Duration = Duration::from_millis(500);

/// Starts the threads. They end when the link is dropped or broken.
pub(crate) fn start(shared: Arc<Shared>, control: Arc<dyn Control>) -> Result<(), WireError> {
    let failed =
        |e: io::Error| WireError::Io { peer: shared.peer.clone(), reason: format!("no thread for it: {e}") };
    let (for_sender, for_receiver) = (Arc::clone(&shared), Arc::clone(&shared));
    let receiver_control = Arc::clone(&control);
    thread::Builder::new()
        .name(format!("from {}", shared.peer))
        .spawn(move || receive(&for_receiver))
        .map_err(failed)?;
    let sender = thread::Builder::new()
        .name(format!("to {}", shared.peer))
        .spawn(move || send(&for_sender, &*control));
    if let Err(e) = sender {
        receiver_control.stop();
        shared.lock().writes_done = true;
        return Err(failed(e));
    }
    Ok(())
}

/// The sender thread: writes what is queued, then says good-bye.
fn send(shared: &Shared, control: &dyn Control) {
    let last_words = match write_messages(shared) {
        Ok(Some(reason)) => Some((FrameKind::Abort, reason.kind.0, encode_reason(&reason.text))),
        Ok(None) if shared.lock().end.is_none() => Some((FrameKind::Close, 0, Vec::new())),
        Ok(None) => None,
        Err(error) => {
            write_failed(shared, &error);
            None
        }
    };
    let said_close = matches!(last_words, Some((FrameKind::Close, ..)));
    if let (Some((kind, clock, payload)), Some(sink)) = (last_words, &mut *shared.sink()) {
        let header = Header { kind, clock, len: payload.len() as u64 };
        // Best effort: a peer that does not listen any more has found out by itself.
        let _ = sink.write(header, payload, &mut |_| ()).and_then(|()| sink.flush());
    }
    control.finish();
    drop(shared.sink().take());
    let mut state = shared.lock();
    state.writes_done = true;
    state.outbox.clear();
    shared.ring_all(&state);
    // The receiver thread goes on until the peer has ended its side. After an abort that may take
    // only so long; after a good-bye, whoever dropped the link watches over it.
    let end = Instant::now() + LINGER;
    while !state.reads_done {
        let left = if said_close { FOREVER } else { end.saturating_duration_since(Instant::now()) };
        if left.is_zero() {
            control.stop();
            return;
        }
        state = shared.wait(state, Bell::Sender, left);
    }
}

/// What the sender thread does next.
enum Due {
    Message(Outgoing),
    /// Hand what a user has written to the network.
    Flush,
    /// Give a sign of life.
    Alive,
    /// Wait so long for something to do.
    Nothing(Duration),
    /// Nothing more; tell the peer this.
    End(Option<Reason>),
}

fn due(state: &mut State, heartbeat: Duration) -> io::Result<Due> {
    if state.abort.is_some() || state.end.is_some() {
        return Ok(Due::End(state.abort.take()));
    }
    if let Some(error) = state.unwritten.take() {
        return Err(error);
    }
    if state.writing {
        // Whoever writes wakes this thread only where something is left to do for it.
        return Ok(Due::Nothing(heartbeat));
    }
    if let Some(message) = state.outbox.pop_front() {
        return Ok(Due::Message(message));
    }
    if state.unflushed {
        return Ok(Due::Flush);
    }
    if state.closed {
        return Ok(Due::End(None));
    }
    let idle = heartbeat.saturating_sub(state.last.get_or_insert_with(Instant::now).elapsed());
    Ok(if idle.is_zero() { Due::Alive } else { Due::Nothing(idle) })
}

/// Writes messages until the link is dropped and everything is written, or the link ends. Returns
/// the reason that the peer shall be told, if any.
fn write_messages(shared: &Shared) -> io::Result<Option<Reason>> {
    let mut line = shared.options.network.map(Line::new);
    let heartbeat = shared.options.heartbeat();
    let mut state = shared.lock();
    loop {
        let due = match due(&mut state, heartbeat)? {
            Due::End(reason) => return Ok(reason),
            Due::Nothing(limit) => {
                state = shared.wait(state, Bell::Sender, limit);
                continue;
            }
            due => due,
        };
        state.writing = true;
        drop(state);
        let (written, len, chain) = match &mut *shared.sink() {
            Some(sink) => {
                let (result, len) = write(shared, &mut **sink, &mut line, due);
                (result, len, sink.chain())
            }
            None => (Err(ErrorKind::BrokenPipe.into()), 0, None),
        };
        state = shared.lock();
        state.writing = false;
        written?;
        (state.unflushed, state.gathered, state.last) = (false, 0, Some(Instant::now()));
        if !shared.is_watched() {
            // What the peer says must not wait for users who compute for long.
            shared.lend(&mut state);
        }
        state.out_bytes -= len;
        state.sent = chain;
        shared.ring(&state, Bell::Went);
    }
}

/// Writes what is due; returns how many bytes waited for that.
fn write(shared: &Shared, sink: &mut dyn Sink, line: &mut Option<Line>, due: Due) -> (io::Result<()>, usize) {
    let Due::Message(Outgoing { clock, payload, handed_over }) = due else {
        let alive = Header { kind: FrameKind::Alive, clock: 0, len: 0 };
        let written = match due {
            Due::Alive => sink.write(alive, Vec::new(), &mut |_| ()),
            Due::Flush | Due::Message(_) | Due::Nothing(_) | Due::End(_) => Ok(()),
        };
        return (written.and_then(|()| sink.flush()), 0);
    };
    let len = payload.len();
    let header = Header { kind: FrameKind::Data, clock, len: len as u64 };
    let written = sink.write(header, payload, &mut |part| {
        if let Some(line) = line {
            hold_back(shared, line.due(handed_over, part));
        }
        shared.moved_out();
    });
    // An emulated arrival is due now, whatever follows.
    let flushed = written.and_then(|()| match line.is_some() || shared.lock().outbox.is_empty() {
        true => sink.flush(),
        false => Ok(()),
    });
    shared.moved_out();
    (flushed, held(len))
}

/// Waits until `due`, or until the link breaks.
fn hold_back(shared: &Shared, due: Instant) {
    let mut state = shared.lock();
    while state.end.is_none() {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        state = shared.wait(state, Bell::Sender, left);
    }
}

/// A write failed: the peer is gone. If it left a reason, the receiver thread finds it.
fn write_failed(shared: &Shared, error: &io::Error) {
    let end = Instant::now() + VERDICT;
    let mut state = shared.lock();
    while state.end.is_none() && !state.reads_done {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        state = shared.wait(state, Bell::Sender, left);
    }
    let (known, closed) = (state.end.is_some(), state.closed);
    drop(state);
    if !known && !closed {
        shared.fail(lost(shared, error));
    }
}

/// The receiver thread: reads ahead, up to the link's limit, where users do not read themselves.
fn receive(shared: &Shared) {
    while take_turn(shared) {
        if let Err(end) = read(shared, true) {
            // It is still this thread that reads: a user would find the stream's end, and not why.
            return ended(shared, end);
        }
        let mut state = shared.lock();
        state.reading = false;
        // Users who came meanwhile wait for other links alone.
        shared.ring(&state, Bell::Came);
    }
}

/// Waits until it is this thread that reads; whether there is anything left to read.
fn take_turn(shared: &Shared) -> bool {
    let mut state = shared.lock();
    while !state.reads_done {
        let own = !state.by_users || state.lent || state.closed || state.end.is_some();
        if own && !state.reading {
            state.reading = true;
            return true;
        }
        state = shared.wait(state, Bell::Turn, FOREVER);
    }
    false
}

/// The error behind a failed read or write.
pub(crate) fn lost(shared: &Shared, error: &io::Error) -> WireError {
    let peer = shared.peer.clone();
    match error.kind() {
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected => WireError::Closed { peer },
        ErrorKind::InvalidData => WireError::Tampered { peer, reason: error.to_string() },
        _ => WireError::Io { peer, reason: error.to_string() },
    }
}
