//! Reads a websocket's bytes ahead, into a buffer of the thread and not of the socket: few system calls for many small frames or a
//! large one, and no buffer at all for a socket that is silent. Knows nothing of frames.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes asked of the system at once. One such buffer per thread of the runtime.
const AHEAD: usize = 16 << 10;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; AHEAD]);
}

/// A byte stream that is read in large pieces and given out in whatever pieces are asked for.
#[derive(Debug)]
pub(super) struct Lookahead<S> {
    inner: S,
    /// What was read and not yet given out, from `at` on; most of the time nothing.
    ahead: Vec<u8>,
    at: usize,
}

impl<S> Lookahead<S> {
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner,
            ahead: Vec::new(),
            at: 0,
        }
    }

    fn give(&mut self, into: &mut ReadBuf<'_>) {
        let rest = &self.ahead[self.at..];
        let given = rest.len().min(into.remaining());
        into.put_slice(&rest[..given]);
        self.at += given;
        if self.at == self.ahead.len() {
            self.ahead = Vec::new();
            self.at = 0;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lookahead<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            BUFFER.with_borrow_mut(|buffer| {
                let mut read = ReadBuf::new(buffer);
                ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
                let (now, later) = read
                    .filled()
                    .split_at(read.filled().len().min(into.remaining()));
                into.put_slice(now);
                this.ahead.extend_from_slice(later);
                Poll::Ready(Ok(()))
            })
        } else {
            this.give(into);
            Poll::Ready(Ok(()))
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lookahead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn every_byte_comes_once_and_in_order_and_nothing_is_kept() {
        let (mut theirs, ours) = tokio::io::duplex(3 * AHEAD);
        let sent: Vec<u8> = (0..=250).cycle().take(2 * AHEAD).collect();
        theirs.write_all(&sent).await.unwrap();
        let mut stream = Lookahead::new(ours);
        let mut got = Vec::new();
        for size in [1, 14, 128, AHEAD - 1, 5, AHEAD - 19, 1 << 20] {
            let mut piece = vec![0; size];
            let read = stream.read(&mut piece).await.unwrap();
            got.extend_from_slice(&piece[..read]);
        }
        while got.len() < sent.len() {
            got.push(stream.read_u8().await.unwrap());
        }
        assert!(got == sent);
        assert_eq!(stream.ahead.capacity(), 0);
        drop(theirs);
        assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_was_read_ahead_comes_before_the_end() {
        let (mut theirs, ours) = tokio::io::duplex(64);
        theirs.write_all(b"abc").await.unwrap();
        drop(theirs);
        let mut stream = Lookahead::new(ours);
        assert_eq!(stream.read_u8().await.unwrap(), b'a');
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"bc");
    }
}
