//! How many TCP connections there may be, in all and from one address. A connection is counted for as long as its stream
//! lives, whoever holds it: an upgraded one leaves hyper and stays counted.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The counts and their limits.
#[derive(Debug)]
pub(super) struct Connections {
    free: Arc<Semaphore>,
    per_address: usize,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Connections {
    pub(super) fn new(total: u32, per_address: u32) -> Self {
        Self {
            free: Arc::new(Semaphore::new(total as usize)),
            per_address: per_address as usize,
            addresses: Arc::default(),
        }
    }

    /// Waits until one more connection may be accepted.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Counts a connection; gives the stream back when its address has too many. Loopback is a proxy, a test
    /// or this machine's owner and has no limit of its own.
    pub(super) fn count<S>(
        &self,
        stream: S,
        peer: SocketAddr,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Counted<S>, S> {
        let address = peer.ip().to_canonical();
        if !address.is_loopback() {
            let mut addresses = self
                .addresses
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let count = addresses.entry(address).or_default();
            if *count >= self.per_address {
                tracing::debug!(%address, "too many connections from one address");
                return Err(stream);
            }
            *count += 1;
        }
        let place = Place {
            address,
            addresses: Arc::clone(&self.addresses),
            _permit: permit,
        };
        Ok(Counted {
            stream,
            _place: place,
        })
    }
}

/// One counted connection; gives its place back when it goes.
#[derive(Debug)]
struct Place {
    address: IpAddr,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

/// A stream that is counted while it lives.
#[derive(Debug)]
pub(super) struct Counted<S> {
    stream: S,
    _place: Place,
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
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_cannot_take_all_and_gives_back_what_it_had() {
        let connections = Connections::new(10, 2);
        let peer: SocketAddr = "203.0.113.7:1".parse().unwrap();
        let other: SocketAddr = "203.0.113.8:1".parse().unwrap();
        let count = async |peer| connections.count((), peer, connections.permit().await);
        let first = count(peer).await.unwrap();
        let _second = count(peer).await.unwrap();
        assert!(count(peer).await.is_err());
        let _other = count(other).await.unwrap();
        assert_eq!(connections.free.available_permits(), 7);
        drop(first);
        assert!(count(peer).await.is_ok());
    }

    #[tokio::test]
    async fn loopback_has_no_limit_of_its_own() {
        let connections = Connections::new(10, 1);
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let peer: SocketAddr = peer.parse().unwrap();
            let held: Vec<_> = (0..3).map(|_| connections.count((), peer, None)).collect();
            assert!(held.iter().all(Result::is_ok));
        }
        assert!(connections.addresses.lock().unwrap().is_empty());
    }
}
