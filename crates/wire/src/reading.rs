//! How a link's messages are read: by its receiver thread, or by the user who waits for one of them
//! ([`crate::Breaker::read_by_users`]), which takes a thread less that must be woken.

use std::io::ErrorKind;
use std::sync::MutexGuard;
use std::time::Duration;

use crate::error::WireError;
use crate::frame::{FrameError, FrameKind, Header, MAX_REASON, decode_reason};
use crate::pump::{FOREVER, lost};
use crate::reason::{Kind, Reason};
use crate::shared::{Bell, End, Incoming, Shared, State, held};
use crate::stream::Source;

/// What reads a link's messages. Whoever uses it has set [`State::reading`].
pub(crate) struct Reading {
    source: Box<dyn Source>,
    /// The header of a frame whose payload is not read.
    header: Option<Header>,
}

impl Reading {
    pub(crate) fn new(source: Box<dyn Source>) -> Reading {
        Reading { source, header: None }
    }
}

/// What became of a message that was to be read.
pub(crate) enum Read {
    /// It waits to be received.
    Message,
    /// A sign of life was before it. Whoever waits looks at the time: there may be any number of them.
    Alive,
    /// Not all of it is there.
    NotYet,
    /// There is no room for it, see [`crate::LinkOptions::receive_limit`].
    NoRoom,
}

/// Reads the next message. Who is to `wait` for it gets nothing but [`Read::Message`]; whoever is not has one frame
/// read at most, and may come again.
///
/// # Errors
/// Nothing more comes: see [`ended`].
pub(crate) fn read(shared: &Shared, wait: bool) -> Result<Read, End> {
    let mut reading = shared.reading();
    let closed = || End::AfterInbox(WireError::Closed { peer: shared.peer.clone() });
    let malformed = |reason| End::Now(WireError::Frame { peer: shared.peer.clone(), reason });
    let Some(Reading { source, header: begun }) = &mut *reading else { return Err(closed()) };
    source.wait(wait);
    loop {
        let header = match begun {
            Some(header) => *header,
            None => match source.header() {
                Ok(Some(bytes)) => {
                    shared.alive();
                    *begun.insert(Header::decode(&bytes, shared.options.max_message).map_err(malformed)?)
                }
                Ok(None) => return Err(closed()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Read::NotYet),
                Err(error) => return Err(End::AfterInbox(lost(shared, &error))),
            },
        };
        match header.kind {
            FrameKind::Close => {
                return Err(End::AfterInbox(WireError::Finished { peer: shared.peer.clone() }));
            }
            FrameKind::Abort => {
                let len = usize::try_from(header.len).unwrap_or(MAX_REASON).min(MAX_REASON);
                return match source.payload(len, &mut || ()) {
                    Ok(text) => Err(End::Now(WireError::Aborted {
                        peer: shared.peer.clone(),
                        reason: Reason { kind: Kind(header.clock), text: decode_reason(&text) },
                    })),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Read::NotYet),
                    Err(_) => Err(closed()),
                };
            }
            FrameKind::Alive => {
                *begun = None;
                if !wait {
                    return Ok(Read::Alive);
                }
                continue;
            }
            FrameKind::Data => {}
        }
        let Ok(len) = usize::try_from(header.len) else {
            return Err(malformed(FrameError::Memory(header.len)));
        };
        let read = match room(shared, len, wait) {
            Room::Keep => source.payload(len, &mut || shared.moved_in()).map(Some),
            Room::Skip => source.skip(len).map(|()| None),
            Room::None => return Ok(Read::NoRoom),
            Room::Over => return Err(End::Now(WireError::Unasked { peer: shared.peer.clone() })),
        };
        match read {
            Ok(payload) => {
                *begun = None;
                let mut state = shared.lock();
                state.announced = None;
                if let Some(payload) = payload.filter(|_| !state.closed) {
                    state.in_bytes += held(len);
                    let chain = source.chain();
                    state.inbox.push_back(Incoming { clock: header.clock, payload, chain });
                }
                shared.ring(&state, Bell::Came);
                return Ok(Read::Message);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Read::NotYet),
            Err(error) => return Err(End::AfterInbox(lost(shared, &error))),
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
    /// It must wait for room.
    None,
}

/// Whether an announced message may be read; who is to `wait` until it is never gets [`Room::None`].
fn room(shared: &Shared, len: usize, wait: bool) -> Room {
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
                if !wait {
                    return Room::None;
                }
                state = shared.wait(state, Bell::Receiver, FOREVER);
            }
        }
    }
}

/// Nothing more comes, for this reason. Whoever read says so.
pub(crate) fn ended(shared: &Shared, end: End) {
    drop(shared.reading().take());
    // The others are at their ends, too, and take leave in good order. Who ends the link in good order hears of
    // it, before nothing is read any more.
    if let End::Now(error @ WireError::Unasked { .. }) = &end {
        shared.break_off(error.clone());
    }
    let mut state = shared.lock();
    (state.reads_done, state.reading) = (true, false);
    state.announced = None;
    shared.ring_all(&state);
    // Once the link is broken or given up, the peer's going is no news.
    if matches!(state.end, Some(End::Now(_))) {
        return;
    }
    match end {
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

/// A user's turn to read, without waiting: the state afterwards, and what became of it. Nobody reads.
fn read_now<'a>(
    shared: &'a Shared,
    mut state: MutexGuard<'a, State>,
) -> (MutexGuard<'a, State>, Option<Read>) {
    state.reading = true;
    drop(state);
    match read(shared, false) {
        Ok(read) => {
            let mut state = shared.lock();
            state.reading = false;
            // Another user may have come meanwhile, who waits for other links alone.
            shared.ring(&state, Bell::Came);
            if !state.users_read() {
                shared.ring(&state, Bell::Turn);
            }
            (state, Some(read))
        }
        Err(end) => {
            ended(shared, end);
            (shared.lock(), None)
        }
    }
}

/// Waits as [`Bell::Came`] does, at most so long. Where users read, it is this one who reads, all of the
/// links that break together: what the others say must not wait until somebody asks for it.
pub(crate) fn await_message<'a>(
    shared: &'a Shared,
    mut state: MutexGuard<'a, State>,
    limit: Duration,
) -> MutexGuard<'a, State> {
    if !state.by_users {
        return shared.wait(state, Bell::Came, limit);
    }
    drop(state);
    shared.offer_all_kept();
    state = shared.lock();
    // Whatever the receiver thread reads just now is the last of what it was lent.
    state.lent = false;
    if state.users_read() {
        let read;
        (state, read) = read_now(shared, state);
        if !matches!(read, Some(Read::NotYet)) {
            return state;
        }
    }
    let (Some(waker), Some(group)) = (shared.waker(), shared.group.get()) else {
        return shared.wait(state, Bell::Came, limit);
    };
    if !state.inbox.is_empty() || state.end.is_some() {
        return state;
    }
    // From here on whoever would ring for this user wakes it.
    state.polling += 1;
    drop(state);
    let ready = group.watch(|| waker.wait(&group.others(shared), shared, limit));
    let mut state = shared.lock();
    state.polling -= 1;
    drop(state);
    for other in ready {
        let mut state = other.lock();
        while state.users_read() {
            let read;
            (state, read) = read_now(&other, state);
            if !matches!(read, Some(Read::Message)) {
                break;
            }
        }
    }
    shared.lock()
}
