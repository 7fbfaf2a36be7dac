//! Bodies that do not come in: whoever sends one must not take a connection, and the memory for what has come,
//! for as long as they like.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// The slowest that bodies may come in on the whole, in bytes a second.
const PACE: usize = 16 << 10;

/// A body did not come in within its time.
#[derive(Debug, thiserror::Error)]
#[error("the request does not come in: {received} bytes in {} s", time.as_secs())]
pub(crate) struct TooSlow {
    received: usize,
    time: Duration,
}

/// Gives the body of a request its time: `grace`, and as much more as what has come takes at the slowest pace.
pub(crate) async fn limit(grace: Duration, request: Request, next: Next) -> Response {
    let timely = |body| {
        let begun = Instant::now();
        let end = Box::pin(tokio::time::sleep_until(begun + grace));
        Body::new(Timely { body, begun, grace, received: 0, end })
    };
    next.run(request.map(timely)).await
}

struct Timely {
    body: Body,
    begun: Instant,
    grace: Duration,
    received: usize,
    end: Pin<Box<Sleep>>,
}

impl HttpBody for Timely {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                if let Some(Ok(frame)) = &frame {
                    self.received += frame.data_ref().map_or(0, Bytes::len);
                    let earned = Duration::from_secs((self.received / PACE) as u64);
                    let end = self.begun + self.grace + earned;
                    self.end.as_mut().reset(end);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                self.end.as_mut().poll(context).map(|()| {
                    Some(Err(TooSlow { received: self.received, time: self.begun.elapsed() }.into()))
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
