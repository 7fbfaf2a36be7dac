//! [`Links`]: what a protocol gets.

use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::clock::Clock;
use crate::error::WireError;
use crate::guard::Guard;
use crate::kept;
use crate::link::Link;
use crate::meter::LinkMeter;
use crate::options::LinkOptions;
use crate::reason::Reason;
use crate::shared::{Bell, Shared};
use crate::waits::Wait;

/// The links of one party that fail together.
#[derive(Default)]
pub(crate) struct Group {
    members: Mutex<Members>,
    /// Users who wait for what the links bring.
    watching: AtomicUsize,
}

#[derive(Default)]
struct Members {
    links: Vec<Weak<Shared>>,
    failed: Option<WireError>,
}

impl Group {
    fn add(self: &Arc<Group>, shared: &Arc<Shared>) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.group.set(Arc::clone(self)).is_err() {
            return;
        }
        members.links.retain(|link| link.strong_count() > 0);
        members.links.push(Arc::downgrade(shared));
        let failed = members.failed.clone();
        drop(members);
        match failed {
            Some(error) => drop(shared.break_off(error)),
            None => {
                if let Some(error) = shared.broken() {
                    self.fail(&error);
                }
            }
        }
    }

    /// The other links that break together with this one.
    pub(crate) fn others(&self, own: &Shared) -> Vec<Arc<Shared>> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let others = members.links.iter().filter(|link| !std::ptr::eq(link.as_ptr(), own));
        others.filter_map(Weak::upgrade).collect()
    }

    /// Has a user wait for what the links bring.
    pub(crate) fn watch<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.watching.fetch_add(1, Ordering::SeqCst);
        let waited = wait();
        self.watching.fetch_sub(1, Ordering::SeqCst);
        waited
    }

    /// Whether a user does so.
    pub(crate) fn is_watched(&self) -> bool {
        self.watching.load(Ordering::SeqCst) > 0
    }

    fn failure(&self) -> Option<WireError> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).failed.clone()
    }

    fn members(&self) -> Vec<Arc<Shared>> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.links.iter().filter_map(Weak::upgrade).collect()
    }

    /// Breaks every link with the first error. When this returns, all of them are broken, also
    /// where another thread failed first and is still on its way through them: whoever drops a link
    /// next must not say good-bye over it.
    pub(crate) fn fail(&self, error: &WireError) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let first = members.failed.get_or_insert_with(|| error.clone()).clone();
        let links: Vec<_> = members.links.iter().filter_map(Weak::upgrade).collect();
        drop(members);
        for link in links {
            link.break_off(first.clone());
        }
    }
}

/// A party's links to all others. A clone is another handle to the same links: for what the parties
/// say to each other before and after a protocol runs. They close when the last handle is dropped.
#[derive(Clone)]
pub struct Links {
    index: usize,
    links: Arc<[Arc<Link>]>,
    clock: Arc<Clock>,
    group: Arc<Group>,
}

impl Links {
    /// The links of party `index`, to all others in the order of their indices. They must have been
    /// made with `clock`.
    pub fn new(index: usize, peers: Vec<Link>, clock: Arc<Clock>) -> Links {
        let group = Arc::new(Group::default());
        for link in &peers {
            group.add(link.shared());
        }
        let (index, mut links) = (index.min(peers.len()), peers);
        links.insert(index, Link::to_itself());
        Links { index, links: links.into_iter().map(Arc::new).collect(), clock, group }
    }

    /// The same links, and one to the party with the next index, who is not there: what it sent was kept in
    /// this file ([`crate::Keeper`]). The guard is this party's, towards that one; `name` is what errors call
    /// the file. The link ends with what is returned.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn with_kept(
        &self,
        name: &str,
        file: File,
        guard: Guard,
        options: LinkOptions,
    ) -> Result<Links, WireError> {
        let kept = kept::link(name.into(), file, guard, Arc::clone(&self.clock), options)?;
        self.group.add(kept.shared());
        let links = self.links.iter().cloned().chain([Arc::new(kept)]).collect();
        Ok(Links { links, ..self.clone() })
    }

    /// Which party this is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many parties there are, with this one.
    pub fn parties(&self) -> usize {
        self.links.len()
    }

    /// The indices of all others, in order.
    pub fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let own = self.index;
        (0..self.parties()).filter(move |&j| j != own)
    }

    /// The link to party `j`. There is none to the party itself: sending there is an error.
    pub fn to(&self, j: usize) -> &Link {
        self.links.get(j).unwrap_or(&self.links[self.index])
    }

    /// What went over each link, by the peer's index.
    pub fn meters(&self) -> Vec<LinkMeter> {
        self.links.iter().map(|link| link.meter()).collect()
    }

    /// Payload bytes sent, by the peer's index.
    pub fn sent(&self) -> Vec<u64> {
        self.links.iter().map(|link| link.meter().sent_bytes).collect()
    }

    /// Rounds so far: this party's clock.
    pub fn rounds(&self) -> u64 {
        u64::from(self.clock.now())
    }

    /// Gives up on all links; the peers are told why.
    pub fn abort_all(&self, reason: impl Into<Reason>) {
        self.breaker().abort_all(reason);
    }

    /// Says that a protocol runs over the links, until what is returned is dropped: each of them reads
    /// ahead up to [`crate::LinkOptions::read_ahead`] until then.
    pub fn read_ahead(&self) -> ReadAhead {
        ReadAhead::set(&self.links, true);
        ReadAhead(Arc::clone(&self.links))
    }

    /// Ends all links in good order, see [`Link::finish`].
    ///
    /// # Errors
    /// A peer sent a message that nobody has asked for.
    pub fn finish(&self) -> Result<(), WireError> {
        let to_others = || self.others().filter_map(|j| self.links.get(j));
        // All of them at once: each peer waits for all of its own.
        to_others().for_each(|link| link.shared().finish());
        to_others().map(|link| link.finish()).fold(Ok(()), Result::and)
    }

    /// A handle that reads the meters after the links were handed to a protocol.
    pub fn watch(&self) -> Watch {
        let links = self.links.iter().map(|link| Arc::clone(link.shared())).collect();
        Watch { links, clock: Arc::clone(&self.clock) }
    }

    /// The handle that breaks the links, also after they were handed to a protocol; other links can
    /// be tied to it.
    pub fn breaker(&self) -> Breaker {
        Breaker(Arc::clone(&self.group))
    }
}

/// A protocol runs over a party's links, see [`Links::read_ahead`].
pub struct ReadAhead(Arc<[Arc<Link>]>);

impl ReadAhead {
    fn set(links: &[Arc<Link>], running: bool) {
        for link in links {
            let shared = link.shared();
            let mut state = shared.lock();
            state.running = running;
            shared.ring(&state, Bell::Receiver);
        }
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        ReadAhead::set(&self.0, false);
    }
}

/// Reads the meters of a party's links from outside, for reports and tests.
#[derive(Clone)]
pub struct Watch {
    links: Vec<Arc<Shared>>,
    clock: Arc<Clock>,
}

impl Watch {
    /// As [`Links::meters`].
    pub fn meters(&self) -> Vec<LinkMeter> {
        self.links.iter().map(|shared| shared.lock().meter).collect()
    }

    /// As [`Links::rounds`].
    pub fn rounds(&self) -> u64 {
        u64::from(self.clock.now())
    }

    /// How long the party has waited for each peer so far, by the peer's index: for messages, and for
    /// room to send.
    pub fn waited(&self) -> Vec<Duration> {
        self.links.iter().map(|shared| shared.lock().waits.total()).collect()
    }

    /// From now on waits are kept one by one, so many for each peer at most; what was kept before is
    /// forgotten.
    pub fn keep_waits(&self, most: usize) {
        self.links.iter().for_each(|shared| shared.lock().waits.keep(most));
    }

    /// The waits that were kept, in the order in which they began.
    pub fn waits(&self) -> Vec<Wait> {
        let of = |(peer, shared): (usize, &Arc<Shared>)| shared.lock().waits.kept(peer).collect::<Vec<_>>();
        let mut waits: Vec<Wait> = self.links.iter().enumerate().flat_map(of).collect();
        waits.sort_by_key(|wait| wait.begun);
        waits
    }
}

/// Links that break together: when one fails, all do, with the same error, and every peer is told
/// why.
#[derive(Clone, Default)]
pub struct Breaker(Arc<Group>);

impl Breaker {
    /// A breaker that no link is tied to.
    pub fn new() -> Breaker {
        Breaker::default()
    }

    /// Ties a link to the others. A link that is tied already stays where it is.
    pub fn tie(&self, link: &Link) {
        self.0.add(link.shared());
    }

    /// Breaks all links; the peers are told why.
    pub fn abort_all(&self, reason: impl Into<Reason>) {
        self.0.fail(&WireError::GaveUp { reason: reason.into() });
    }

    /// Has whoever waits for a message read the links, all that are tied by now, in place of the threads that
    /// read them otherwise: right where small messages are waited for most of the time, as there is a thread
    /// less to wake for each. What comes while nobody waits stays with the network. Links in one process go on as
    /// they were.
    pub fn read_by_users(&self) {
        self.0.members().iter().for_each(|link| link.read_by_users());
    }

    /// The error that broke the links, if they are broken.
    pub fn failure(&self) -> Option<WireError> {
        self.0.failure()
    }
}

#[cfg(test)]
#[path = "../tests/breaking.rs"]
mod tests;
