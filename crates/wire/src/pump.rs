//! The two threads of a link.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::emulate::Line;
use crate::error::WireError;
use crate::frame::{FrameError, FrameKind, Header, MAX_REASON, decode_reason, encode_reason};
use crate::link::{Bell, End, Incoming, LINGER, Outgoing, Shared, State, held};
use crate::stream::{Control, Sink, Source};

/// Longer than any wait: whoever waits is woken by changes, not by time.
const FOREVER: Duration = Duration::from_secs(1 << 30);
/// After a failed write, how long the receiver thread has to find out why (the peer's own reason is
/// the better one).
const VERDICT: Duration = Duration::from_millis(500);

/// Starts the threads. They end when the link is dropped or broken.
pub(crate) fn start(
    shared: Arc<Shared>,
    control: Arc<dyn Control>,
    source: Box<dyn Source>,
) -> Result<(), WireError> {
    let failed =
        |e: io::Error| WireError::Io { peer: shared.peer.clone(), reason: format!("no thread for it: {e}") };
    let (for_sender, for_receiver) = (Arc::clone(&shared), Arc::clone(&shared));
    let receiver_control = Arc::clone(&control);
    thread::Builder::new()
        .name(format!("from {}", shared.peer))
        .spawn(move || receive(&for_receiver, source))
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
        Ok(Some(reason)) => Some((FrameKind::Abort, encode_reason(&reason))),
        Ok(None) if shared.lock().end.is_none() => Some((FrameKind::Close, Vec::new())),
        Ok(None) => None,
        Err(error) => {
            write_failed(shared, &error);
            None
        }
    };
    let said_close = matches!(last_words, Some((FrameKind::Close, _)));
    if let (Some((kind, payload)), Some(sink)) = (last_words, &mut *shared.sink()) {
        let header = Header { kind, clock: 0, len: payload.len() as u64 };
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
    End(Option<String>),
}

fn due(state: &mut State, heartbeat: Duration) -> io::Result<Due> {
    if state.abort.is_some() || state.end.is_some() {
        return Ok(Due::End(state.abort.take()));
    }
    if let Some(error) = state.unwritten.take() {
        return Err(error);
    }
    if state.writing {
        return Ok(Due::Nothing(FOREVER));
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
fn write_messages(shared: &Shared) -> io::Result<Option<String>> {
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
        (state.unflushed, state.last) = (false, Some(Instant::now()));
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

/// The receiver thread: reads ahead, up to the link's limit.
fn receive(shared: &Shared, mut source: Box<dyn Source>) {
    let end = read_messages(shared, &mut *source);
    drop(source);
    let mut state = shared.lock();
    state.reads_done = true;
    state.announced = None;
    shared.ring_all(&state);
    // Once the link is broken or given up, the peer's going is no news.
    if matches!(state.end, Some(End::Now(_))) {
        return;
    }
    match end {
        // The others are at their ends, too, and take leave in good order.
        End::Now(error @ WireError::Unasked { .. }) => {
            drop(state);
            shared.break_off(error);
        }
        _ if state.closed => {}
        End::Now(error) => {
            drop(state);
            shared.fail(error);
        }
        // What came before the peer left can still be received.
        End::AfterInbox(error) => {
            state.end = Some(End::AfterInbox(error.clone()));
            shared.ring_all(&state);
            drop(state);
            if let (Some(group), false) = (shared.group.get(), matches!(error, WireError::Finished { .. })) {
                group.fail(&error);
            }
        }
    }
}

/// Reads until nothing more comes; returns why.
fn read_messages(shared: &Shared, source: &mut dyn Source) -> End {
    let closed = || End::AfterInbox(WireError::Closed { peer: shared.peer.clone() });
    let malformed = |reason| End::Now(WireError::Frame { peer: shared.peer.clone(), reason });
    loop {
        let header = match source.header() {
            Ok(Some(bytes)) => Header::decode(&bytes, shared.options.max_message),
            Ok(None) => return closed(),
            Err(error) => return End::AfterInbox(lost(shared, &error)),
        };
        shared.alive();
        let header = match header {
            Ok(header) => header,
            Err(reason) => return malformed(reason),
        };
        match header.kind {
            FrameKind::Close => return End::AfterInbox(WireError::Finished { peer: shared.peer.clone() }),
            FrameKind::Abort => {
                let len = usize::try_from(header.len).unwrap_or(MAX_REASON).min(MAX_REASON);
                return match source.payload(len, &mut || ()) {
                    Ok(reason) => End::Now(WireError::Aborted {
                        peer: shared.peer.clone(),
                        reason: decode_reason(&reason),
                    }),
                    Err(_) => closed(),
                };
            }
            FrameKind::Alive => continue,
            FrameKind::Data => {}
        }
        let Ok(len) = usize::try_from(header.len) else {
            return malformed(FrameError::Memory(header.len));
        };
        let read = match await_room(shared, len) {
            Room::Keep => source.payload(len, &mut || shared.moved_in()).map(Some),
            Room::Skip => source.skip(len).map(|()| None),
            Room::Over => return End::Now(WireError::Unasked { peer: shared.peer.clone() }),
        };
        match read {
            Ok(payload) => {
                let mut state = shared.lock();
                state.announced = None;
                if let Some(payload) = payload.filter(|_| !state.closed) {
                    state.in_bytes += held(len);
                    let chain = source.chain();
                    state.inbox.push_back(Incoming { clock: header.clock, payload, chain });
                }
                shared.ring(&state, Bell::Came);
            }
            Err(error) => return End::AfterInbox(lost(shared, &error)),
        }
    }
}

/// What becomes of an announced message.
enum Room {
    /// It fits the limit, or it is the one that somebody waits for.
    Keep,
    /// Nobody will ever ask for it, and the peer shall read to the end why.
    Skip,
    /// Nothing was to come any more.
    Over,
}

/// Waits until an announced message may be read.
fn await_room(shared: &Shared, len: usize) -> Room {
    let mut state = shared.lock();
    state.announced = Some(len as u64);
    loop {
        let options = &shared.options;
        let limit =
            if state.running { options.read_ahead.max(options.receive_limit) } else { options.receive_limit };
        let fits = state.in_bytes.saturating_add(held(len)) <= limit;
        let wanted = state.inbox.is_empty() && state.wanted.is_some_and(|wanted| len as u64 <= wanted);
        let broken = matches!(state.end, Some(End::Now(_)));
        state.paused = !(fits || wanted || state.closed || broken);
        match state.paused {
            false if broken => return Room::Skip,
            false if state.over => return Room::Over,
            false if state.closed => return Room::Skip,
            false => return Room::Keep,
            // Who waits for another message hears of this one.
            true => {
                shared.ring(&state, Bell::Came);
                state = shared.wait(state, Bell::Receiver, FOREVER);
            }
        }
    }
}

/// The error behind a failed read or write.
fn lost(shared: &Shared, error: &io::Error) -> WireError {
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
