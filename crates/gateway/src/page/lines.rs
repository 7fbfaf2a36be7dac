//! An answer that is sent line by line, as it comes to be. Whoever does not want it any more drops it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc::UnboundedReceiver;

use super::api::Line;
use crate::stop::Waiting;

/// Lines, to the one that is the end.
pub(super) struct Lines {
    next: Option<Line>,
    told: UnboundedReceiver<Line>,
    ended: bool,
    _waiting: Waiting,
}

impl Lines {
    /// This one, and those that are told.
    pub(super) fn new(first: Line, told: UnboundedReceiver<Line>, waiting: Waiting) -> Lines {
        Lines { next: Some(first), told, ended: false, _waiting: waiting }
    }
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let line = match self.next.take() {
            Some(line) => Poll::Ready(Some(line)),
            None => self.told.poll_recv(context),
        };
        line.map(|line| {
            self.ended = line.as_ref().is_none_or(Line::is_last);
            line.map(|line| Ok(Frame::data(Bytes::from(line.written()))))
        })
    }
}
