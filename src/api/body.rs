//! A request's body that does not cut its sender short: when a request is refused before its body was read, the rest is
//! taken off the wire and thrown away. Closing on unread bytes would be a reset, and the client might never see why.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::EXPECT;

/// Most that is thrown away, in bytes; past it the connection is closed on the rest.
const MAX_DRAINED: usize = 64 << 20;
/// And for no longer than this.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(5);

/// How long a request was kept waiting for its own body. Whoever wants to know puts one into its extensions.
#[derive(Debug, Clone, Default)]
pub struct Waited(Arc<AtomicU64>);

impl Waited {
    /// Until now.
    pub fn time(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

/// The body of a request to the API.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Option<Incoming>,
    /// A client that waits for `100 Continue` has sent nothing yet, and asking for the rest would make it.
    drains: bool,
    waited: Waited,
    /// Since when its next piece is waited for.
    asked: Option<Instant>,
}

impl RequestBody {
    /// Takes over the body of a request.
    pub(super) fn of(request: Request<Incoming>) -> Request<Self> {
        let drains = !request.headers().contains_key(EXPECT);
        let waited = request.extensions().get().cloned().unwrap_or_default();
        request.map(|incoming| Self {
            incoming: Some(incoming),
            drains,
            waited,
            asked: None,
        })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(incoming).poll_frame(cx);
        if polled.is_pending() {
            self.asked.get_or_insert_with(Instant::now);
        } else if let Some(asked) = self.asked.take() {
            self.waited.add(asked.elapsed());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map(Body::size_hint)
            .unwrap_or_default()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.waited.add(asked.elapsed());
        }
        let rest = self
            .incoming
            .take()
            .filter(|rest| self.drains && !rest.is_end_stream());
        if let (Some(rest), Ok(runtime)) = (rest, tokio::runtime::Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(MAX_DRAIN_TIME, drain(rest)));
        }
    }
}

async fn drain(mut rest: Incoming) {
    let mut drained = 0;
    while let Some(Ok(frame)) = rest.frame().await {
        drained += frame.data_ref().map_or(0, Bytes::len);
        if drained > MAX_DRAINED {
            return;
        }
    }
}
