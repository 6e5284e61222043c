//! From a connection that is accepted to the requests on it, TLS between the two or not. It knows no request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::connections::Counted;
use super::dispatch::{Dispatch, MAX_HEADER_BYTES};
use super::malformed::{self, Turn, Wire};
use super::tls::Certificates;

/// Header lines of a request; past it 431.
const MAX_HEADERS: usize = 100;

/// Accepts connections for ever, each with a task of its own.
pub(super) async fn accept(
    listener: &TcpListener,
    dispatch: &Arc<Dispatch>,
    tracker: &TaskTracker,
) {
    let connections = &dispatch.connections;
    loop {
        let permit = connections.permit().await;
        match listener.accept().await {
            Ok((stream, peer)) => match connections.count(stream, peer, permit) {
                Ok(counted) => begin(dispatch, counted, peer, tracker),
                Err(refused) => refuse(dispatch, &refused),
            },
            Err(error) => {
                // Usually no file descriptors: connections that close give some back.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Two kinds of tasks: one that knows no TLS is the smaller by it.
fn begin(
    dispatch: &Arc<Dispatch>,
    stream: Counted<TcpStream>,
    peer: SocketAddr,
    tracker: &TaskTracker,
) {
    let dispatch = Arc::clone(dispatch);
    match dispatch.certificates.clone() {
        None => tracker.spawn(serve(dispatch, stream, peer)),
        Some(certificates) => tracker.spawn(async move {
            // In a box: its room is given back before the first request.
            let encrypted = Box::pin(encrypted(&dispatch, &certificates, stream)).await;
            match encrypted {
                Some(stream) => serve(dispatch, stream, peer).await,
                None => certificates.count_failure(),
            }
        }),
    };
}

/// One connection too many from its address: told so if that needs no waiting, and closed. Over TLS it would need a handshake.
fn refuse(dispatch: &Dispatch, stream: &TcpStream) {
    if dispatch.certificates.is_none() {
        let _ = stream.try_write(&malformed::refusal(StatusCode::SERVICE_UNAVAILABLE));
    }
}

/// The stream once it is encrypted, unless the client does not come to that in time, or the server stops first.
async fn encrypted(
    dispatch: &Dispatch,
    certificates: &Certificates,
    stream: Counted<TcpStream>,
) -> Option<TlsStream<Counted<TcpStream>>> {
    let handshake = tokio::time::timeout(dispatch.header_timeout, shake(certificates, stream));
    let outcome = tokio::select! {
        outcome = handshake => outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        () = dispatch.stopping.cancelled() => return None,
    };
    outcome
        .inspect_err(|error| tracing::debug!(%error, "no TLS handshake"))
        .ok()
}

async fn shake(
    certificates: &Certificates,
    stream: Counted<TcpStream>,
) -> io::Result<TlsStream<Counted<TcpStream>>> {
    // Methods are letters, and no record of TLS begins with one.
    if stream.first_byte().await?.is_ascii_alphabetic() {
        let mut wire = Wire::refusing(stream, malformed::plain_http());
        wire.shutdown().await?;
        return Err(io::Error::other("this was plain HTTP"));
    }
    certificates.acceptor().accept(stream).await
}

/// One connection: requests one after the other, until it closes, is upgraded, or the server stops.
async fn serve<S>(dispatch: Arc<Dispatch>, stream: S, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stopping, killed) = (dispatch.stopping.clone(), dispatch.killed.clone());
    let header_timeout = dispatch.header_timeout;
    let turn = Turn::default();
    let wire = Wire::new(stream, turn.clone());
    let service = service_fn(move |mut request| {
        let client = dispatch.proxies.client(peer, request.headers());
        request.extensions_mut().insert(client);
        turn.begin();
        let (dispatch, turn) = (Arc::clone(&dispatch), turn.clone());
        async move { Ok::<_, std::convert::Infallible>(turn.answer(dispatch.handle(request).await)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(wire), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let mut draining = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = killed.cancelled() => return,
            () = stopping.cancelled(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
