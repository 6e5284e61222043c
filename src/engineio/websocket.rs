//! One websocket: its limits, its opening answer, and closing it so that the peer sees the close frame and not a reset. Knows nothing
//! of sessions.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::body::Body;
use super::config::Config;
use super::error::RequestError;
use super::fragments::{FragmentLimit, TooManyFragments};
use super::lookahead::Lookahead;

/// A websocket, ours to read and write.
pub(super) type WebSocket = WebSocketStream<FragmentLimit<Lookahead<TokioIo<Upgraded>>>>;

/// tungstenite keeps this much for as long as the socket lives, and most sockets are silent. What makes reading cheap is
/// [`Lookahead`], whose buffers do not belong to a socket.
pub(super) const READ_BUFFER: usize = 128;
/// Small frames of one batch share a system call up to this size. tungstenite keeps the capacity for as long as the socket lives.
pub(super) const WRITE_BUFFER: usize = 4 << 10;
/// How long the connection may take from our 101 to being handed over.
const HANDOVER: Duration = Duration::from_secs(10);
/// How long a peer has to answer our close frame.
const CLOSING: Duration = Duration::from_secs(1);
/// Bytes read at once then.
const DRAIN_BUFFER: usize = 4 << 10;
/// Bytes of a refused message that are read and thrown away, so that the peer gets to read why.
const DISCARDED: u64 = 16 << 20;

/// The answer that turns the connection into a websocket.
pub(super) fn accept(
    key: &[u8],
    subprotocol: Option<HeaderValue>,
) -> Result<Response<Body>, RequestError> {
    let accept =
        HeaderValue::from_str(&derive_accept_key(key)).map_err(|_| RequestError::BadWebSocket)?;
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(subprotocol) = subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    Ok(response)
}

/// The websocket once the 101 has been written, or `None` if the connection did not live to see it.
pub(super) async fn open(upgrade: OnUpgrade, config: &Config) -> Option<WebSocket> {
    let upgraded = timeout(HANDOVER, upgrade).await.ok()?.ok()?;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(config.max_payload))
        .max_frame_size(Some(config.max_payload))
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        // One batch is written at a time, and a batch is at most this or one single frame.
        .max_write_buffer_size(2 * WRITE_BUFFER + config.max_outbound_bytes * 2);
    let io = Lookahead::new(TokioIo::new(upgraded));
    let io = FragmentLimit::new(io, config.max_fragments);
    Some(WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await)
}

/// The close code a failed read calls for; `None` if the connection is simply gone.
pub(super) fn close_code(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Capacity(_) => Some(CloseCode::Size),
        Error::Utf8(_) => Some(CloseCode::Invalid),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CloseCode::Protocol),
        Error::Io(error) if error.get_ref().is_some_and(is_flood) => Some(CloseCode::Policy),
        _ => None,
    }
}

fn is_flood(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.is::<TooManyFragments>()
}

pub(super) fn close_message(code: Option<CloseCode>) -> Message {
    Message::Close(code.map(|code| CloseFrame {
        code,
        reason: Utf8Bytes::default(),
    }))
}

/// Closes a websocket from start to end.
pub(super) async fn close(mut websocket: WebSocket, code: Option<CloseCode>) {
    let _ = timeout(CLOSING, websocket.send(close_message(code))).await;
    drain(websocket).await;
}

/// Waits for the peer's side of the close, throwing away what else it sends. To drop the connection with unread bytes would reset it,
/// and a reset can overtake the close frame.
pub(super) async fn drain(mut websocket: WebSocket) {
    let _ = timeout(CLOSING, async {
        while let Some(message) = websocket.next().await {
            if message.is_err() {
                break;
            }
        }
        let io = websocket.get_mut().get_mut();
        let _ = io.shutdown().await;
        let mut rest = io.take(DISCARDED);
        let mut buffer = vec![0; DRAIN_BUFFER];
        while rest.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    })
    .await;
}
