//! [`Link`]: an ordered, metered, two-way connection to one peer.

use std::sync::Arc;
use std::time::Instant;

use crate::clock::Clock;
use crate::error::WireError;
use crate::guard::LinkTranscript;
use crate::meter::LinkMeter;
use crate::options::LinkOptions;
use crate::pump;
use crate::reading::{Reading, await_message};
use crate::reason::Reason;
use crate::shared::{Bell, End, Incoming, LINGER, Shared, held};
use crate::stream::{Control, Transport};

/// The longest message that whoever sends it writes itself, where nothing is before it and the network
/// takes it at once: to wake the sender thread takes longer than that.
const AT_ONCE: usize = 16 << 10;

/// A connection to one peer. Messages arrive whole and in order.
///
/// The link's own threads write and read, but for what can be written without waiting: see the crate's
/// documentation for what protocols may rely on. Dropping a link sends what is queued and closes it in good order; the peer can tell this
/// from a crash.
pub struct Link {
    shared: Arc<Shared>,
}

impl Link {
    /// Starts a link over a transport.
    pub(crate) fn start(
        peer: String,
        transport: Transport,
        clock: Arc<Clock>,
        options: LinkOptions,
    ) -> Result<Link, WireError> {
        let shared = Shared::new(peer, clock, options);
        let control: Arc<dyn Control> = Arc::from(transport.control);
        (shared.lock().sent, shared.lock().received) = (transport.sink.chain(), transport.source.chain());
        *shared.sink() = Some(transport.sink);
        *shared.reading() = Some(Reading::new(transport.source));
        shared.control.get_or_init(|| Arc::clone(&control));
        let link = Link { shared: Arc::clone(&shared) };
        pump::start(shared, control)?;
        Ok(link)
    }

    /// The link of a party to itself: nothing can be sent over it.
    pub(crate) fn to_itself() -> Link {
        let shared = Shared::new("this party".into(), Arc::default(), LinkOptions::default());
        shared.break_off(WireError::Io {
            peer: "this party itself".into(),
            reason: "a party has no link to itself".into(),
        });
        Link { shared }
    }

    /// Name of the peer.
    pub fn peer(&self) -> &str {
        &self.shared.peer
    }

    /// Hands over a message. Blocks only while more than [`LinkOptions::send_limit`] bytes are
    /// queued.
    ///
    /// # Errors
    /// The link is broken, or the peer took nothing of a full queue: see [`LinkOptions::deadline`].
    /// That a message was sent does not say that it arrived.
    pub fn send(&self, bytes: Vec<u8>) -> Result<(), WireError> {
        let shared = &*self.shared;
        let mut patience = shared.patience(&shared.moved_out);
        let mut waits = None;
        let mut state = shared.lock();
        loop {
            match &state.end {
                Some(End::Now(error)) => return Err(error.clone()),
                Some(End::AfterInbox(error)) => {
                    let error = error.clone();
                    drop(state);
                    return Err(shared.fail(error));
                }
                None if state.out_bytes <= shared.options.send_limit => break,
                None => {}
            }
            waits.get_or_insert_with(Instant::now);
            match shared.left(&state, &mut patience, &shared.moved_out) {
                Ok(left) => state = shared.wait_for_writer(state, left),
                Err(error) => {
                    drop(state);
                    return Err(shared.fail(error));
                }
            }
        }
        if let Some(begun) = waits {
            state.waits.add(begun);
        }
        state.meter.sent_bytes += bytes.len() as u64;
        state.meter.sent_messages += 1;
        let clock = shared.clock.next();
        let kept = state.gathered > 0;
        let first = state.outbox.is_empty() && !state.writing && (kept || !state.unflushed) && !state.closed;
        if first && bytes.len() <= AT_ONCE && shared.options.network.is_none() {
            let gathered = state.gathered + held(bytes.len());
            let keep = state.by_users && gathered <= shared.options.gather;
            state.writing = true;
            drop(state);
            shared.offer(clock, bytes, keep);
        } else {
            shared.queue(&mut state, clock, bytes);
        }
        Ok(())
    }

    /// Waits for the next message, which must have exactly `expected` bytes.
    ///
    /// # Errors
    /// Another length, a peer that is gone, aborted or sent garbage, or silence: see
    /// [`LinkOptions::deadline`]. All of the party's links are broken then, and the other peers are
    /// told why.
    pub fn recv(&self, expected: usize) -> Result<Vec<u8>, WireError> {
        self.receive(expected, |len| {
            (len != expected as u64).then(|| WireError::Length {
                peer: self.shared.peer.clone(),
                expected,
                received: usize::try_from(len).unwrap_or(usize::MAX),
            })
        })
    }

    /// Waits for the next message, which must have at most `limit` bytes: for control messages of
    /// clients. With a [`LinkOptions::receive_limit`] of zero, a longer message is refused before a
    /// byte of it is read.
    ///
    /// # Errors
    /// As [`Link::recv`].
    pub fn recv_any(&self, limit: usize) -> Result<Vec<u8>, WireError> {
        self.receive(limit, |len| {
            (len > limit as u64).then(|| WireError::TooLong {
                peer: self.shared.peer.clone(),
                announced: len,
                limit,
            })
        })
    }

    fn receive(
        &self,
        wanted: usize,
        refuse: impl Fn(u64) -> Option<WireError>,
    ) -> Result<Vec<u8>, WireError> {
        let shared = &*self.shared;
        let mut patience = shared.patience(&shared.moved_in);
        let mut waits = None;
        let mut state = shared.lock();
        let error = loop {
            if let Some(End::Now(error)) = &state.end {
                return Err(error.clone());
            }
            if let Some(Incoming { clock, payload: bytes, chain }) = state.inbox.pop_front() {
                state.in_bytes -= held(bytes.len());
                state.wanted = None;
                state.received = chain;
                shared.ring(&state, Bell::Receiver);
                if let Some(begun) = waits {
                    state.waits.add(begun);
                }
                if let Some(error) = refuse(bytes.len() as u64) {
                    break error;
                }
                state.meter.received_bytes += bytes.len() as u64;
                state.meter.received_messages += 1;
                shared.clock.observe(clock);
                return Ok(bytes);
            }
            if let Some(End::AfterInbox(error)) = &state.end {
                break error.clone();
            }
            if let Some(error) = state.announced.and_then(&refuse) {
                break error;
            }
            let left = match shared.left(&state, &mut patience, &shared.moved_in) {
                Ok(left) => left,
                Err(error) => break error,
            };
            waits.get_or_insert_with(Instant::now);
            state.wanted = Some(wanted as u64);
            shared.ring(&state, Bell::Receiver);
            state = await_message(shared, state, left);
        };
        drop(state);
        Err(shared.fail(error))
    }

    /// Gives up: the peer is told why, as far as it still listens, and nothing more can be sent or
    /// received.
    pub fn abort(&self, reason: impl Into<Reason>) {
        self.shared.break_off(WireError::GaveUp { reason: reason.into() });
    }

    /// Whether nothing more comes, in good order or not.
    pub fn has_ended(&self) -> bool {
        self.shared.lock().end.is_some()
    }

    /// What went over the link so far.
    pub fn meter(&self) -> LinkMeter {
        self.shared.lock().meter
    }

    /// What went over the link so far, both ways: waits until everything that was sent is
    /// written. Nothing where frames are not authenticated.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn transcript(&self) -> Result<Option<LinkTranscript>, WireError> {
        let shared = &*self.shared;
        let mut patience = shared.patience(&shared.moved_out);
        let mut state = shared.lock();
        loop {
            if let Some(End::Now(error)) = &state.end {
                return Err(error.clone());
            }
            let written = state.sent.map(|chain| chain.messages);
            if written.is_none_or(|messages| messages == state.meter.sent_messages) {
                return Ok(state
                    .sent
                    .map(|sent| LinkTranscript { sent, received: state.received.unwrap_or_default() }));
            }
            match shared.left(&state, &mut patience, &shared.moved_out) {
                Ok(left) => state = shared.wait_for_writer(state, left),
                Err(error) => {
                    drop(state);
                    return Err(shared.fail(error));
                }
            }
        }
    }

    /// Ends the link in good order, and waits until the peer has done the same: as [`Drop`] does, but
    /// nothing may come any more.
    ///
    /// # Errors
    /// The peer sent a message that nobody has asked for. Whatever else goes wrong with a link that is
    /// at its end is no error.
    pub fn finish(&self) -> Result<(), WireError> {
        self.shared.finish();
        self.close();
        match self.shared.broken() {
            Some(error @ WireError::Unasked { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until the peer has read everything and has ended its side: as long as it keeps taking it,
    /// or, where the link is broken, as long as the peer needs to take note of the reason. (The peer ends
    /// its side when it has read the close frame. A socket that is closed before could destroy what is
    /// still under way.)
    fn close(&self) {
        let shared = &*self.shared;
        let Some(control) = shared.control() else { return };
        let mut patience = shared.patience(&shared.moved_out);
        let started = Instant::now();
        let mut state = shared.lock();
        state.closed = true;
        state.inbox.clear();
        state.in_bytes = 0;
        shared.ring_all(&state);
        while !(state.writes_done && state.reads_done) {
            let left = match state.end {
                Some(End::Now(_)) => LINGER.checked_sub(started.elapsed()),
                _ => shared.left(&state, &mut patience, &shared.moved_out).ok(),
            };
            let Some(left) = left else {
                control.stop();
                return;
            };
            state = shared.wait(state, Bell::Went, left);
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Link {
    /// Sends what is queued and closes the link. What the peer sends is read and thrown away.
    fn drop(&mut self) {
        self.close();
    }
}
