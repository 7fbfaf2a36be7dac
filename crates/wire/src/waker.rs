//! [`Waker`]: waits for several sockets at once, and can be woken.

use std::sync::Arc;
use std::time::Duration;

use crate::shared::Shared;

/// Waits for sockets, and can be woken by others.
#[cfg(unix)]
pub(crate) struct Waker {
    bell: std::io::PipeWriter,
    ear: std::io::PipeReader,
}

#[cfg(unix)]
impl Waker {
    /// Nothing where the system gives no pipe.
    pub(crate) fn new() -> Option<Waker> {
        let (ear, bell) = std::io::pipe().ok()?;
        Some(Waker { bell, ear })
    }

    /// Wakes who waits, or is about to.
    pub(crate) fn wake(&self) {
        use std::io::Write;
        // As few bytes as there are changes while somebody waits: there is room for them.
        let _ = (&self.bell).write(&[0]);
    }

    /// Waits, at most so long, until it is woken or one of the links has something that users may read; the
    /// others of which that is so.
    pub(crate) fn wait(&self, others: &[Arc<Shared>], own: &Shared, limit: Duration) -> Vec<Arc<Shared>> {
        use std::io::Read;

        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let socket = |shared: &Shared| shared.control().filter(|_| shared.readable_by_users()).is_some();
        let others: Vec<_> = others.iter().filter(|other| socket(other)).collect();
        let mut waited: Vec<PollFd<'_>> = vec![PollFd::new(&self.ear, PollFlags::IN)];
        let sockets = others.iter().filter_map(|other| other.control()?.socket());
        waited.extend(sockets.map(|socket| PollFd::new(socket, PollFlags::IN)));
        let own = own.control().filter(|_| own.readable_by_users()).and_then(|control| control.socket());
        waited.extend(own.map(|socket| PollFd::new(socket, PollFlags::IN)));
        let limit = Timespec::try_from(limit).ok();
        // Interrupted: whoever waits comes again.
        let _ = poll(&mut waited, limit.as_ref());
        let mut happened = waited.iter().map(|fd| !fd.revents().is_empty());
        if happened.next().unwrap_or(false) {
            let _ = (&self.ear).read(&mut [0; 64]);
        }
        others
            .into_iter()
            .zip(happened)
            .filter(|(_, happened)| *happened)
            .map(|(other, _)| other.clone())
            .collect()
    }
}

/// Here links have threads that read.
#[cfg(not(unix))]
pub(crate) struct Waker(std::convert::Infallible);

#[cfg(not(unix))]
impl Waker {
    pub(crate) fn new() -> Option<Waker> {
        None
    }

    pub(crate) fn wake(&self) {
        match self.0 {}
    }

    pub(crate) fn wait(&self, _: &[Arc<Shared>], _: &Shared, _: Duration) -> Vec<Arc<Shared>> {
        match self.0 {}
    }
}
