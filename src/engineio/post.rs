//! The POST side of long-polling: reads a whole body, within its limits, and has its packets dispatched before it answers. Runs in the
//! HTTP connection's task; knows nothing of the application.

use std::sync::Arc;

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::body::Body;
use super::close::CloseReason;
use super::config::{Config, Transport};
use super::error::RequestError;
use super::packet::{Message, Packet};
use super::payload::{self, Payload, PayloadError};
use super::polling::empty;
use super::state::{Inbound, Shared};

/// Answers one POST of a session.
pub(super) async fn post(
    shared: Arc<Shared>,
    config: &Config,
    parts: &Parts,
    body: Incoming,
) -> Response<Body> {
    match begin(&shared) {
        Begin::Reading => {}
        Begin::Refused(error) => return error.response(),
        Begin::Overlap => return empty(StatusCode::BAD_REQUEST),
    }
    let posting = Posting {
        shared: Arc::clone(&shared),
        answered: false,
    };
    let answer = if is_octet_stream(parts) {
        // Binary payloads are Engine.IO v3.
        Err(Refusal::Malformed)
    } else {
        receive(&shared, config, body).await
    };
    posting.answered();
    match answer {
        Ok(()) => ok(),
        Err(refusal) => refuse(&shared, refusal),
    }
}

enum Begin {
    Reading,
    Refused(RequestError),
    Overlap,
}

fn begin(shared: &Shared) -> Begin {
    {
        let mut state = shared.lock();
        if state.reason().is_some() {
            return Begin::Refused(RequestError::UnknownSid);
        }
        if state.transport != Transport::Polling {
            return Begin::Refused(RequestError::BadRequest);
        }
        if !state.requests.post {
            state.requests.post = true;
            return Begin::Reading;
        }
    }
    shared.close(CloseReason::OverlappingRequests);
    Begin::Overlap
}

fn is_octet_stream(parts: &Parts) -> bool {
    parts.headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .get(..24)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"application/octet-stream"))
    })
}

/// Why a POST is not answered with `ok`.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    TooLarge,
    TooSlow,
    Malformed,
    Aborted,
    SessionClosed,
}

async fn receive(shared: &Arc<Shared>, config: &Config, body: Incoming) -> Result<(), Refusal> {
    let body = tokio::select! {
        biased;
        () = shared.closed() => return Err(Refusal::SessionClosed),
        read = timeout(config.body_deadline, read(body, config.max_payload)) => {
            read.map_err(|_| Refusal::TooSlow)??
        }
    };
    let Payload { packets, error } = payload::decode(&body, config.max_packets_per_post);
    drop(body);
    let (messages, last) = sort(shared, packets);
    // After a PONG the next PING may be due before the PONG would have been.
    shared.output.notify_one();
    if !messages.is_empty() {
        dispatch(shared, messages).await?;
    }
    match (last, error) {
        (Last::Close, _) => {
            shared.close(CloseReason::ClientClosed);
            Ok(())
        }
        (Last::Message, None) => Ok(()),
        (Last::Message, Some(PayloadError::TooManyPackets)) => Err(Refusal::TooLarge),
        (Last::Message, Some(_)) | (Last::Malformed, _) => Err(Refusal::Malformed),
    }
}

/// Reads a body of at most `limit` bytes. A longer one is read on for a while and thrown away, because a client that is still sending
/// would see a reset instead of the answer.
async fn read(mut body: Incoming, limit: usize) -> Result<BytesMut, Refusal> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut fits = announced <= limit;
    let mut read = BytesMut::new();
    let mut discarded = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::Aborted)?.into_data() else {
            continue;
        };
        fits = fits && read.len() + data.len() <= limit;
        if fits {
            read.extend_from_slice(&data);
            continue;
        }
        read = BytesMut::new();
        discarded += data.len();
        if discarded > 2 * limit {
            break;
        }
    }
    if fits {
        Ok(read)
    } else {
        Err(Refusal::TooLarge)
    }
}

enum Last {
    Message,
    Close,
    Malformed,
}

/// Messages in front of the packet that ends the payload early, if one does. PONGs count at once, whatever waits for dispatch.
fn sort(shared: &Shared, packets: Vec<Packet>) -> (Vec<Message>, Last) {
    let now = Instant::now();
    let mut state = shared.lock();
    let mut messages = Vec::new();
    for packet in packets {
        match packet {
            Packet::Message(message) => messages.push(message),
            Packet::Pong => state.heartbeat.pong(now),
            Packet::Upgrade | Packet::Ignored => {}
            Packet::Close => return (messages, Last::Close),
            // Only the server sends PINGs.
            Packet::Ping(_) => return (messages, Last::Malformed),
        }
    }
    state.heartbeat.packet(now);
    (messages, Last::Message)
}

async fn dispatch(shared: &Arc<Shared>, messages: Vec<Message>) -> Result<(), Refusal> {
    let (done, dispatched) = oneshot::channel();
    {
        let mut state = shared.lock();
        if state.reason().is_some() {
            return Err(Refusal::SessionClosed);
        }
        state.inbound = Some(Inbound::Messages { messages, done });
    }
    shared.input.notify_one();
    dispatched.await.map_err(|_| Refusal::SessionClosed)
}

fn ok() -> Response<Body> {
    let mut response = Response::new(Body::full("ok"));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

fn refuse(shared: &Shared, refusal: Refusal) -> Response<Body> {
    let (status, reason) = match refusal {
        Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, CloseReason::ParseError),
        Refusal::Malformed => (StatusCode::BAD_REQUEST, CloseReason::ParseError),
        Refusal::TooSlow => (StatusCode::REQUEST_TIMEOUT, CloseReason::TransportLost),
        Refusal::Aborted | Refusal::SessionClosed => {
            (StatusCode::BAD_REQUEST, CloseReason::TransportLost)
        }
    };
    shared.close(reason);
    let mut response = empty(status);
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A POST whose client hangs up takes the session with it.
struct Posting {
    shared: Arc<Shared>,
    answered: bool,
}

impl Posting {
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Posting {
    fn drop(&mut self) {
        self.shared.lock().requests.post = false;
        // An upgrade waits for the POST in flight.
        self.shared.probe.notify_one();
        if !self.answered {
            self.shared.close(CloseReason::TransportLost);
        }
    }
}
