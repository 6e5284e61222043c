//! The engine's response bodies: nothing, one buffer, or a poll's packets, which end their session if the connection drops them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::close::CloseReason;
use super::state::Shared;

/// A response body of the engine. Its length is always known.
#[derive(Debug, Default)]
pub struct Body {
    data: Option<Bytes>,
    undelivered: Option<Undelivered>,
}

/// Packets never vanish silently: if nobody took them for writing, the client must learn that they are gone.
#[derive(Debug)]
struct Undelivered(Option<Arc<Shared>>);

impl Drop for Undelivered {
    fn drop(&mut self) {
        if let Some(session) = &self.0 {
            session.close(CloseReason::TransportLost);
        }
    }
}

impl Body {
    pub(super) fn full(data: impl Into<Bytes>) -> Self {
        Self {
            data: Some(data.into()).filter(|data| !data.is_empty()),
            undelivered: None,
        }
    }

    pub(super) fn packets(data: String, session: Arc<Shared>) -> Self {
        Self {
            data: Some(data.into()),
            undelivered: Some(Undelivered(Some(session))),
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(guard) = &mut self.undelivered {
            // Taken for writing: from here on a lost connection shows as a failed request at the client.
            guard.0 = None;
        }
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}
