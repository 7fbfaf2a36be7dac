//! [`Link`]: an ordered, metered, two-way connection to one peer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::error::WireError;
use crate::frame::{FrameKind, Header};
use crate::guard::{Chain, LinkTranscript};
use crate::links::Group;
use crate::meter::LinkMeter;
use crate::options::LinkOptions;
use crate::patience::Patience;
use crate::pump;
use crate::reading::{Reading, await_message};
use crate::reason::Reason;
use crate::stream::{Control, Offered, Sink, Transport};
use crate::waits::Waits;
use crate::waker::Waker;

/// How long a link that ends in an error waits for its peer to take note of the reason.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// The longest message that whoever sends it writes itself, where nothing is before it and the network
/// takes it at once: to wake the sender thread takes longer than that.
const AT_ONCE: usize = 16 << 10;

/// What somebody may wait for. Each has a bell of its own, as a message that passes should wake nobody
/// but who waits for it.
#[derive(Clone, Copy)]
pub(crate) enum Bell {
    /// A message came, or none will: for those who receive.
    Came,
    /// There is room to send, or everything was written: for those who send, or are about to leave.
    Went,
    /// There is something to write: for the sender thread.
    Sender,
    /// There is room to read: for the receiver thread.
    Receiver,
    /// It is the receiver thread that reads, and no user: for this thread.
    Turn,
}

const BELLS: [Bell; 5] = [Bell::Came, Bell::Went, Bell::Sender, Bell::Receiver, Bell::Turn];

/// Why nothing more comes.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The peer's last message was read; what waits in the inbox may still be received.
    AfterInbox(WireError),
    /// The link is broken at once.
    Now(WireError),
}

/// A message on its way out.
pub(crate) struct Outgoing {
    pub(crate) clock: u32,
    pub(crate) payload: Vec<u8>,
    pub(crate) handed_over: Instant,
}

/// A message that was read and not yet received.
pub(crate) struct Incoming {
    pub(crate) clock: u32,
    pub(crate) payload: Vec<u8>,
    /// The chain with this message, where frames are authenticated.
    pub(crate) chain: Option<Chain>,
}

/// What a message takes beside its payload, where it waits: an empty one takes memory, too.
const BESIDE: usize = 128;

/// Bytes that a message with so long a payload counts as, against the limits.
pub(crate) fn held(len: usize) -> usize {
    len.saturating_add(BESIDE)
}

/// What the link's two threads and its users share.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) outbox: VecDeque<Outgoing>,
    /// Bytes in the outbox and in the sender's hands, see [`held`].
    pub(crate) out_bytes: usize,
    /// What the peer shall be told before the link goes down.
    pub(crate) abort: Option<Reason>,
    /// The link was dropped or finished: flush, close, keep nothing more.
    pub(crate) closed: bool,
    /// It was finished: nothing more may come.
    pub(crate) over: bool,
    /// A protocol runs: the peer may be ahead.
    pub(crate) running: bool,
    /// Somebody writes: the sender thread, or a user who has found nothing before a message.
    pub(crate) writing: bool,
    /// A user's message is not with the network yet.
    pub(crate) unflushed: bool,
    /// Bytes of messages that wait for others, see [`LinkOptions::gather`].
    pub(crate) gathered: usize,
    /// Why a user's message could not be written.
    pub(crate) unwritten: Option<std::io::Error>,
    /// When something was written last.
    pub(crate) last: Option<Instant>,
    /// The sender thread writes no more.
    pub(crate) writes_done: bool,

    pub(crate) inbox: VecDeque<Incoming>,
    /// Bytes in the inbox, see [`held`].
    pub(crate) in_bytes: usize,
    /// Length of a message whose header was read and whose payload was not.
    pub(crate) announced: Option<u64>,
    /// Somebody waits for a message, of at most this length.
    pub(crate) wanted: Option<u64>,
    /// A message waits for room: what the peer sends is not seen.
    pub(crate) paused: bool,
    /// Somebody reads: the receiver thread, or a user.
    pub(crate) reading: bool,
    /// Users read, each while it waits, and the receiver thread does not.
    pub(crate) by_users: bool,
    /// But for the next message, as no user waits.
    pub(crate) lent: bool,
    /// Users who wait for what the network brings, and must be woken for anything else.
    pub(crate) polling: usize,
    /// Nobody reads any more.
    pub(crate) reads_done: bool,

    pub(crate) end: Option<End>,
    /// How many wait for each bell.
    waiting: [usize; BELLS.len()],
    pub(crate) meter: LinkMeter,
    pub(crate) waits: Waits,
    /// The chain of the messages written, and of those that somebody received; where frames are
    /// authenticated.
    pub(crate) sent: Option<Chain>,
    pub(crate) received: Option<Chain>,
}

impl State {
    /// Whether it is users who read now, and nobody does.
    pub(crate) fn users_read(&self) -> bool {
        self.by_users && !self.lent && !self.reading && !self.closed && !self.reads_done && self.end.is_none()
    }
}

/// The part of a link that outlives its handle until its threads are done.
pub(crate) struct Shared {
    pub(crate) peer: String,
    pub(crate) options: LinkOptions,
    pub(crate) clock: Arc<Clock>,
    pub(crate) group: OnceLock<Arc<Group>>,
    bells: [Condvar; BELLS.len()],
    state: Mutex<State>,
    /// Where messages are written to; nothing once nothing more is. Whoever takes it has set
    /// [`State::writing`] before, so that nobody waits here for long.
    pub(crate) sink: Mutex<Option<Box<dyn Sink>>>,
    /// Where messages are read from; nothing once nothing more is. Whoever takes it has set
    /// [`State::reading`] before.
    reading: Mutex<Option<Reading>>,
    control: OnceLock<Arc<dyn Control>>,
    /// For users who read.
    waker: OnceLock<Waker>,
    /// Counters: bytes of any kind came, bytes of a message came, the network took bytes of a
    /// message.
    signs: AtomicU64,
    moved_in: AtomicU64,
    moved_out: AtomicU64,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the bell rings, at most so long.
    pub(crate) fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        bell: Bell,
        limit: Duration,
    ) -> MutexGuard<'a, State> {
        state.waiting[bell as usize] += 1;
        let bell_of = &self.bells[bell as usize];
        let mut state = bell_of.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0;
        state.waiting[bell as usize] -= 1;
        state
    }

    /// Wakes those who wait for this. Who holds the state does so: nobody can begin to wait meanwhile.
    pub(crate) fn ring(&self, state: &State, bell: Bell) {
        if state.waiting[bell as usize] > 0 {
            self.bells[bell as usize].notify_all();
        }
        match (bell, self.waker.get()) {
            (Bell::Came, Some(waker)) if state.polling > 0 => waker.wake(),
            (Bell::Came | Bell::Went | Bell::Sender | Bell::Receiver | Bell::Turn, _) => {}
        }
    }

    /// Waits for those who write, at most so long. Users do not read then: the receiver thread does.
    fn wait_for_writer<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        limit: Duration,
    ) -> MutexGuard<'a, State> {
        if state.by_users {
            drop(state);
            let offered = self.offer_all_kept();
            state = self.lock();
            if offered {
                // What is waited for may have come to pass meanwhile.
                return state;
            }
            self.lend(&mut state);
        }
        self.wait(state, Bell::Went, limit)
    }

    /// Has the receiver thread read a message where users do, as none of them waits.
    pub(crate) fn lend(&self, state: &mut State) {
        if state.users_read() {
            state.lent = true;
            self.ring(state, Bell::Turn);
        }
    }

    /// Whether somebody waits for this link, or one that breaks together with it, to bring something.
    pub(crate) fn is_watched(&self) -> bool {
        self.group.get().is_some_and(|group| group.is_watched())
    }

    /// Wakes everybody.
    pub(crate) fn ring_all(&self, state: &State) {
        BELLS.iter().for_each(|&bell| self.ring(state, bell));
    }

    pub(crate) fn sink(&self) -> MutexGuard<'_, Option<Box<dyn Sink>>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reading(&self) -> MutexGuard<'_, Option<Reading>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn control(&self) -> Option<&Arc<dyn Control>> {
        self.control.get()
    }

    pub(crate) fn waker(&self) -> Option<&Waker> {
        self.waker.get()
    }

    /// Has users read from now on, where the transport and the system allow it: each while it waits for a message.
    pub(crate) fn read_by_users(&self) {
        if self.control().is_none_or(|control| control.socket().is_none()) {
            return;
        }
        if let Some(waker) = Waker::new() {
            self.waker.get_or_init(|| waker);
            self.lock().by_users = true;
        }
    }

    /// Whether a user who waits is the one to read what comes next.
    pub(crate) fn readable_by_users(&self) -> bool {
        let state = self.lock();
        state.users_read() && !state.paused
    }

    /// Leaves a message to the sender thread.
    fn queue(&self, state: &mut State, clock: u32, payload: Vec<u8>) {
        state.out_bytes += held(payload.len());
        state.outbox.push_back(Outgoing { clock, payload, handed_over: Instant::now() });
        self.ring(state, Bell::Sender);
    }

    /// Writes a message as far as the network takes it without waiting, or keeps it for others; the sender thread
    /// does the rest. [`State::writing`] is set.
    fn offer(&self, clock: u32, payload: Vec<u8>, keep: bool) {
        let header = Header { kind: FrameKind::Data, clock, len: payload.len() as u64 };
        let bytes = held(payload.len());
        let mut sink = self.sink();
        // Without a sink the link is at its end.
        let offered = sink.as_mut().map(|sink| (sink.offer(header, payload, keep), sink.chain()));
        drop(sink);
        let mut state = self.lock();
        (state.writing, state.last) = (false, Some(Instant::now()));
        match offered {
            Some((Ok(Offered::Sent), chain)) => {
                (state.sent, state.unflushed, state.gathered) = (chain, false, 0);
            }
            Some((Ok(Offered::Kept), chain)) => {
                state.gathered = if keep { state.gathered + bytes } else { 0 };
                (state.sent, state.unflushed) = (chain, true);
            }
            Some((Ok(Offered::NotNow(payload)), _)) => {
                state.out_bytes += held(payload.len());
                state.outbox.push_front(Outgoing { clock, payload, handed_over: Instant::now() });
                state.gathered = 0;
            }
            Some((Err(error), _)) => state.unwritten = Some(error),
            None => {}
        }
        self.offered(&state);
    }

    /// Offers what waits for others to the network, before this user waits; whether there was anything.
    fn offer_kept(&self) -> bool {
        let mut state = self.lock();
        if state.gathered == 0 || state.writing {
            return false;
        }
        state.writing = true;
        drop(state);
        let offered = self.sink().as_mut().map(|sink| sink.offer_kept());
        let mut state = self.lock();
        (state.writing, state.gathered, state.last) = (false, 0, Some(Instant::now()));
        match offered {
            Some(Ok(sent)) => state.unflushed = !sent,
            Some(Err(error)) => state.unwritten = Some(error),
            None => {}
        }
        self.offered(&state);
        true
    }

    /// The same for all links that break together.
    pub(crate) fn offer_all_kept(&self) -> bool {
        let own = self.offer_kept();
        let others = self.group.get().map(|group| group.others(self)).unwrap_or_default();
        others.iter().fold(own, |any, other| other.offer_kept() || any)
    }

    /// A user has written: whether there is more to do for others.
    fn offered(&self, state: &State) {
        self.moved_out();
        if (state.unflushed && state.gathered == 0) || state.unwritten.is_some() || !state.outbox.is_empty() {
            self.ring(state, Bell::Sender);
        }
        self.ring(state, Bell::Went);
    }

    /// A sign of life arrived.
    pub(crate) fn alive(&self) {
        self.signs.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes of a message arrived.
    pub(crate) fn moved_in(&self) {
        self.alive();
        self.moved_in.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes of a message were taken by the network.
    pub(crate) fn moved_out(&self) {
        self.moved_out.fetch_add(1, Ordering::Relaxed);
    }

    /// The patience of a wait that begins now, for bytes to move in or out.
    fn patience(&self, moved: &AtomicU64) -> Patience {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Patience::new(Instant::now(), &self.options, count(&self.signs), count(moved))
    }

    /// How long to wait before asking again; or why no longer.
    fn left(&self, state: &State, patience: &mut Patience, moved: &AtomicU64) -> Result<Duration, WireError> {
        if state.paused {
            // Signs of life wait behind a message that is not read.
            self.alive();
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        patience.left(Instant::now(), &self.options, &self.peer, count(&self.signs), count(moved))
    }

    /// Breaks this link and those of the same party, unless it is broken already. The peers are
    /// told why. Returns the error that broke the link first.
    pub(crate) fn fail(&self, error: WireError) -> WireError {
        let broken = match &self.lock().end {
            Some(End::Now(first)) => Some(first.clone()),
            Some(End::AfterInbox(_)) | None => None,
        };
        let error = broken.unwrap_or(error);
        // The group hears of it first: what the peers answer to the end of one link comes over the
        // others, and must find this reason there, not become one.
        if let Some(group) = self.group.get() {
            group.fail(&error);
        }
        self.break_off(error)
    }

    /// The error that broke the link, if it is broken. A peer that left in good order breaks
    /// nothing.
    pub(crate) fn broken(&self) -> Option<WireError> {
        match &self.lock().end {
            Some(End::Now(error)) => Some(error.clone()),
            Some(End::AfterInbox(error)) if !matches!(error, WireError::Finished { .. }) => {
                Some(error.clone())
            }
            _ => None,
        }
    }

    /// Nothing more is sent, and nothing may come any more.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        let waits = !state.inbox.is_empty() || state.announced.is_some();
        (state.closed, state.over) = (true, true);
        self.ring_all(&state);
        drop(state);
        if waits {
            self.break_off(WireError::Unasked { peer: self.peer.clone() });
        }
    }

    /// Breaks this link alone.
    pub(crate) fn break_off(&self, error: WireError) -> WireError {
        let mut state = self.lock();
        if let Some(End::Now(first)) = &state.end {
            return first.clone();
        }
        let told = matches!(&error, WireError::Aborted { peer, .. } if *peer == self.peer);
        if !told && !state.closed {
            state.abort = Some(error.reason_for_peers());
        }
        state.end = Some(End::Now(error.clone()));
        self.ring_all(&state);
        error
    }
}

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

impl Shared {
    fn new(peer: String, clock: Arc<Clock>, options: LinkOptions) -> Arc<Shared> {
        Arc::new(Shared {
            peer,
            options,
            clock,
            group: OnceLock::new(),
            bells: Default::default(),
            state: Mutex::default(),
            sink: Mutex::default(),
            reading: Mutex::default(),
            control: OnceLock::new(),
            waker: OnceLock::new(),
            signs: AtomicU64::new(0),
            moved_in: AtomicU64::new(0),
            moved_out: AtomicU64::new(0),
        })
    }
}

impl Drop for Link {
    /// Sends what is queued and closes the link. What the peer sends is read and thrown away.
    fn drop(&mut self) {
        self.close();
    }
}
