//! A request's body that does not cut its sender short: when a request is refused before its body was read, the rest is
//! taken off the wire and thrown away. Closing on unread bytes would be a reset, and the client might never see why.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::EXPECT;

/// Most that is thrown away, in bytes; past it the connection is closed on the rest.
const MAX_DRAINED: usize = 64 << 20;
/// And for no longer than this.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(5);

/// The body of a request to the API.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Option<Incoming>,
    /// A client that waits for `100 Continue` has sent nothing yet, and asking for the rest would make it.
    drains: bool,
}

impl RequestBody {
    /// Takes over the body of a request.
    pub(super) fn of(request: Request<Incoming>) -> Request<Self> {
        let drains = !request.headers().contains_key(EXPECT);
        request.map(|incoming| Self {
            incoming: Some(incoming),
            drains,
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
        match &mut self.incoming {
            Some(incoming) => Pin::new(incoming).poll_frame(cx),
            None => Poll::Ready(None),
        }
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
