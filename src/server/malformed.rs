//! Answers to what is no request: hyper refuses a head that it cannot read before anybody here has seen it, with a bare status. This
//! puts the envelope of every other refusal in its place. It knows when hyper speaks for itself, and nothing of requests.

use std::fmt::Write as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};
use hyper::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::request_id;
use crate::api::{self, Failure};

/// What the rest of a refused head may take: closing on unread bytes would be a reset, and the client might never see the answer.
const MAX_DISCARDED: usize = 1 << 20;
/// And how long.
const MAX_DISCARD_TIME: Duration = Duration::from_secs(2);

/// Nobody has been asked, or every answer has left: whatever is written now is hyper's own.
const IDLE: u8 = 0;
/// A request is being answered.
const ANSWERING: u8 = 1;
/// The answer has been handed to hyper, which may not have written it yet.
const ANSWERED: u8 = 2;
/// The connection is no longer HTTP.
const UPGRADED: u8 = 3;

/// Whose turn it is on one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn(Arc<AtomicU8>);

impl Turn {
    /// A request has come in.
    pub(super) fn begin(&self) {
        self.0.store(ANSWERING, Ordering::Release);
    }

    /// Here is its answer.
    pub(super) fn answer<B>(&self, response: Response<B>) -> Response<Tracked<B>> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.0.store(UPGRADED, Ordering::Release);
        }
        let turn = self.clone();
        response.map(|body| Tracked { body, turn })
    }

    fn pass(&self, from: u8, to: u8) {
        let _ = self
            .0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
    }

    fn is_hypers(&self) -> bool {
        self.0.load(Ordering::Acquire) == IDLE
    }
}

/// A body that tells when hyper has had all of it.
#[derive(Debug)]
pub(super) struct Tracked<B> {
    body: B,
    turn: Turn,
}

impl<B> Drop for Tracked<B> {
    fn drop(&mut self) {
        self.turn.pass(ANSWERING, ANSWERED);
    }
}

impl<B: Body + Unpin> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The stream below hyper.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    turn: Turn,
    /// Our words in the place of hyper's, as far as they are not written yet.
    refusal: Option<Bytes>,
    discard: Discard,
}

/// What came after the refused head.
#[derive(Debug, Default)]
struct Discard {
    bytes: usize,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, turn: Turn) -> Self {
        Self {
            stream,
            turn,
            refusal: None,
            discard: Discard::default(),
        }
    }

    /// One that says this when it is shut down, and nothing else.
    pub(super) fn refusing(stream: S, refusal: Bytes) -> Self {
        Self {
            refusal: Some(refusal),
            ..Self::new(stream, Turn::default())
        }
    }

    /// Takes what hyper wants to write. `None` when it is an answer of ours, which goes on to the stream.
    fn replace(&mut self, written: &[IoSlice<'_>]) -> Option<usize> {
        let first = written.iter().find(|slice| !slice.is_empty())?;
        if self.refusal.is_none() {
            if !self.turn.is_hypers() {
                return None;
            }
            self.refusal = Some(refusal(status(first)?));
        }
        Some(written.iter().map(|slice| slice.len()).sum())
    }

    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(rest) = &mut self.refusal else {
            return Poll::Ready(Ok(()));
        };
        while rest.has_remaining() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => rest.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads on until the client has closed too, or has had time enough to.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = self
            .discard
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(MAX_DISCARD_TIME)));
        if deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut space = [0; 4096];
        while self.discard.bytes < MAX_DISCARDED {
            let mut buffer = ReadBuf::new(&mut space);
            // Whatever goes wrong here, the answer has been given.
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    self.discard.bytes += buffer.filled().len();
                }
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.replace(&[IoSlice::new(buf)]) {
            Some(taken) => Poll::Ready(Ok(taken)),
            None => Pin::new(&mut self.stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // hyper flushes only when it has written all that it had.
        self.turn.pass(ANSWERED, IDLE);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(cx))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        if self.refusal.is_some() {
            return self.poll_discard(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.replace(bufs) {
            Some(taken) => Poll::Ready(Ok(taken)),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// The status of an answer's head, if it is one.
fn status(head: &[u8]) -> Option<StatusCode> {
    let code = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    StatusCode::from_bytes(code).ok()
}

/// A refusal of what could not be read, as it goes over the wire.
pub(super) fn refusal(status: StatusCode) -> Bytes {
    on_the_wire(&unreadable(status))
}

/// The refusal of a request that is not encrypted where all are to be.
pub(super) fn plain_http() -> Bytes {
    on_the_wire(&Failure::new(
        StatusCode::BAD_REQUEST,
        "https_required",
        "This port speaks https, and this was plain http",
    ))
}

fn on_the_wire(failure: &Failure) -> Bytes {
    let status = failure.status;
    let envelope = api::envelope(failure);
    let mut wire = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json; charset=utf-8\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\nx-request-id: {id}\r\nconnection: close\r\ncontent-length: {length}\r\n",
        id = request_id::own(),
        length = envelope.len(),
    );
    if let Some(seconds) = failure.retry_after {
        // Writing to memory cannot fail.
        let _ = write!(wire, "retry-after: {seconds}\r\n");
    }
    wire.push_str("\r\n");
    let mut wire = wire.into_bytes();
    wire.extend_from_slice(&envelope);
    wire.into()
}

/// What is said of a request of which nothing but its size or its form is known.
pub(super) fn unreadable(status: StatusCode) -> Failure {
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Failure::new(
            status,
            "headers_too_large",
            "The request's headers are too large or too many",
        ),
        StatusCode::URI_TOO_LONG => {
            Failure::new(status, "uri_too_long", "The request's path is too long")
        }
        StatusCode::SERVICE_UNAVAILABLE => Failure::unavailable("Too many connections"),
        _ => Failure::new(
            status,
            "invalid_request",
            "This is not a valid HTTP request",
        ),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn said(
        wire: Wire<tokio::io::DuplexStream>,
        mut client: tokio::io::DuplexStream,
    ) -> String {
        drop(wire);
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        said
    }

    #[tokio::test]
    async fn only_what_hyper_says_by_itself_is_replaced() {
        let own = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        for (state, is_replaced) in [
            (IDLE, true),
            (ANSWERING, false),
            (ANSWERED, false),
            (UPGRADED, false),
        ] {
            let (client, stream) = tokio::io::duplex(4096);
            let turn = Turn::default();
            turn.0.store(state, Ordering::Relaxed);
            let mut wire = Wire::new(stream, turn);
            wire.write_all(own).await.unwrap();
            wire.flush().await.unwrap();
            let said = said(wire, client).await;
            assert_eq!(
                said.contains("\"invalid_request\""),
                is_replaced,
                "{state}: {said}"
            );
            assert_eq!(said.as_bytes() == own, !is_replaced, "{state}: {said}");
        }
    }

    #[tokio::test]
    async fn a_turn_ends_when_the_answer_has_left() {
        let (_client, stream) = tokio::io::duplex(4096);
        let turn = Turn::default();
        let mut wire = Wire::new(stream, turn.clone());
        turn.begin();
        let answer = turn.answer(Response::new(()));
        wire.flush().await.unwrap();
        assert!(!turn.is_hypers(), "it is still being made");
        drop(answer);
        assert!(!turn.is_hypers(), "it may not have been written");
        wire.flush().await.unwrap();
        assert!(turn.is_hypers());
    }

    #[tokio::test]
    async fn a_client_that_never_stops_sending_is_not_heard_for_ever() {
        tokio::time::pause();
        let (client, stream) = tokio::io::duplex(64);
        let (mut reading, mut writing) = tokio::io::split(client);
        let mut wire = Wire::new(stream, Turn::default());
        let flood =
            tokio::spawn(async move { while writing.write_all(&[b'x'; 64]).await.is_ok() {} });
        wire.write_all(b"HTTP/1.1 431 \r\n\r\n").await.unwrap();
        let reads =
            tokio::spawn(
                async move { tokio::io::copy(&mut reading, &mut tokio::io::sink()).await },
            );
        wire.shutdown().await.unwrap();
        drop(wire);
        flood.await.unwrap();
        reads.await.unwrap().unwrap();
    }
}
