//! How many TCP connections there may be, in all and from one address, and how long one may refuse to take what is written
//! to it. Both hold for as long as the stream lives, whoever holds it: an upgraded one leaves hyper and stays counted.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use super::proxy::Proxies;
use crate::guard::Origin;

/// The counts and their limits.
#[derive(Debug)]
pub(super) struct Connections {
    total: usize,
    free: Arc<Semaphore>,
    refused: AtomicU64,
    per_address: usize,
    write_timeout: Duration,
    proxies: Proxies,
    addresses: Arc<Mutex<HashMap<Origin, usize>>>,
}

impl Connections {
    pub(super) fn new(
        total: u32,
        per_address: u32,
        write_timeout: Duration,
        proxies: Proxies,
    ) -> Self {
        Self {
            total: total as usize,
            free: Arc::new(Semaphore::new(total as usize)),
            refused: AtomicU64::new(0),
            per_address: per_address as usize,
            write_timeout,
            proxies,
            addresses: Arc::default(),
        }
    }

    pub(super) fn counts(&self) -> ConnectionCounts {
        ConnectionCounts {
            open: self.total - self.free.available_permits(),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Waits until one more connection may be accepted.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Counts a connection; gives the stream back when its address has too many. Loopback is a proxy, a test
    /// or this machine's owner and has no limit of its own; nor has a trusted proxy, which many people stand behind.
    pub(super) fn count<S>(
        &self,
        stream: S,
        peer: SocketAddr,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Counted<S>, S> {
        let address = peer.ip().to_canonical();
        let origin = Origin::of(Some(address)).filter(|_| !self.proxies.trusts(address));
        if let Some(origin) = origin {
            let mut addresses = self
                .addresses
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let count = addresses.entry(origin).or_default();
            if *count >= self.per_address {
                self.refused.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%address, "too many connections from one address");
                return Err(stream);
            }
            *count += 1;
        }
        let place = Place {
            origin,
            addresses: Arc::clone(&self.addresses),
            _permit: permit,
        };
        Ok(Counted {
            stream,
            write_timeout: self.write_timeout,
            stalled: None,
            _place: place,
        })
    }
}

/// TCP connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ConnectionCounts {
    /// Open at the moment, those upgraded to a websocket included.
    pub open: usize,
    /// Refused because their address had too many, since the start.
    pub refused: u64,
}

/// One counted connection; gives its place back when it goes.
#[derive(Debug)]
struct Place {
    origin: Option<Origin>,
    addresses: Arc<Mutex<HashMap<Origin, usize>>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(origin) = self.origin else { return };
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&origin) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&origin);
            }
        }
    }
}

/// A stream that is counted while it lives.
#[derive(Debug)]
pub(super) struct Counted<S> {
    stream: S,
    write_timeout: Duration,
    /// Runs while a write waits; an idle connection has none.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl<S> Counted<S> {
    /// Passes a write's outcome on, unless it has waited for too long.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let timeout = self.write_timeout;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Counted<TcpStream> {
    /// The first byte that the client sends, which stays to be read.
    pub(super) async fn first_byte(&self) -> io::Result<u8> {
        let mut first = [0];
        match self.stream.peek(&mut first).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(first[0]),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.in_time(cx, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.in_time(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn one_address_cannot_take_all_and_gives_back_what_it_had() {
        let connections = Connections::new(10, 2, Duration::MAX, proxies("192.0.2.0/24"));
        let peer: SocketAddr = "203.0.113.7:1".parse().unwrap();
        let other: SocketAddr = "203.0.113.8:1".parse().unwrap();
        let count = async |peer| connections.count((), peer, connections.permit().await);
        let first = count(peer).await.unwrap();
        let _second = count(peer).await.unwrap();
        assert!(count(peer).await.is_err());
        let counts = connections.counts();
        assert_eq!((counts.open, counts.refused), (2, 1));
        let _other = count(other).await.unwrap();
        assert_eq!(connections.free.available_permits(), 7);
        drop(first);
        assert!(count(peer).await.is_ok());
    }

    fn proxies(trusted: &str) -> Proxies {
        Proxies::new(&[trusted.parse().unwrap()])
    }

    #[tokio::test]
    async fn loopback_and_trusted_proxies_have_no_limit_of_their_own() {
        let connections = Connections::new(10, 1, Duration::MAX, proxies("192.0.2.0/24"));
        for peer in [
            "127.0.0.1:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
            "192.0.2.7:1",
        ] {
            let peer: SocketAddr = peer.parse().unwrap();
            let held: Vec<_> = (0..3).map(|_| connections.count((), peer, None)).collect();
            assert!(held.iter().all(Result::is_ok));
        }
        assert!(connections.addresses.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_reader_that_never_reads_is_given_up() {
        let connections = Connections::new(10, 1, Duration::from_millis(1), Proxies::default());
        let (ours, _theirs) = tokio::io::duplex(8);
        let mut counted = connections
            .count(ours, "127.0.0.1:1".parse().unwrap(), None)
            .unwrap();
        let refused = counted.write_all(b"more than it takes").await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
    }
}
