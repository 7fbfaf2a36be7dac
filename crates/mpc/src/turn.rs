//! Steps beside each other. A step is a future that gives way where it has sent its messages of a round and goes
//! on to wait for those of others: whoever runs several of them has all send before any waits, so that they share the
//! round. No thread and no clock decides who is next: all parties take turns in the same order, as they know the
//! same program.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Gives way to the steps beside this one, once.
pub async fn turn() {
    let mut given = false;
    poll_fn(|_| {
        if given {
            return Poll::Ready(());
        }
        given = true;
        Poll::Pending
    })
    .await;
}

/// A step's turn: runs it until it gives way, or ends.
pub fn take_turn<F: Future + Unpin>(mut step: F) -> Poll<F::Output> {
    std::pin::Pin::new(&mut step).poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs a step alone to its end.
pub fn alone<T>(step: impl Future<Output = T>) -> T {
    let mut step = pin!(step);
    loop {
        if let Poll::Ready(done) = take_turn(step.as_mut()) {
            return done;
        }
    }
}
