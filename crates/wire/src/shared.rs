//! [`Shared`]: what a link's handle, its two threads and its users have in common.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::error::WireError;
use crate::frame::{FrameKind, Header};
use crate::guard::Chain;
use crate::links::Group;
use crate::meter::LinkMeter;
use crate::options::LinkOptions;
use crate::patience::Patience;
use crate::reading::Reading;
use crate::reason::Reason;
use crate::stream::{Control, Offered, Sink};
use crate::waits::Waits;
use crate::waker::Waker;

/// How long a link that ends in an error waits for its peer to take note of the reason.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

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
    /// But not just now, until one waits for a message again.
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
    pub(crate) control: OnceLock<Arc<dyn Control>>,
    /// For users who read.
    waker: OnceLock<Waker>,
    /// Counters: bytes of any kind came, bytes of a message came, the network took bytes of a
    /// message.
    signs: AtomicU64,
    pub(crate) moved_in: AtomicU64,
    pub(crate) moved_out: AtomicU64,
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
    pub(crate) fn wait_for_writer<'a>(
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

    /// Has the receiver thread read where users do, as none of them waits.
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
    pub(crate) fn queue(&self, state: &mut State, clock: u32, payload: Vec<u8>) {
        state.out_bytes += held(payload.len());
        state.outbox.push_back(Outgoing { clock, payload, handed_over: Instant::now() });
        self.ring(state, Bell::Sender);
    }

    /// Writes a message as far as the network takes it without waiting, or keeps it for others; the sender thread
    /// does the rest. [`State::writing`] is set.
    pub(crate) fn offer(&self, clock: u32, payload: Vec<u8>, keep: bool) {
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
    pub(crate) fn patience(&self, moved: &AtomicU64) -> Patience {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Patience::new(Instant::now(), &self.options, count(&self.signs), count(moved))
    }

    /// How long to wait before asking again; or why no longer.
    pub(crate) fn left(
        &self,
        state: &State,
        patience: &mut Patience,
        moved: &AtomicU64,
    ) -> Result<Duration, WireError> {
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

impl Shared {
    pub(crate) fn new(peer: String, clock: Arc<Clock>, options: LinkOptions) -> Arc<Shared> {
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
