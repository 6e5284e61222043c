//! The GET side of long-polling: holds a request until there are packets, and answers it with all of them. Runs in the HTTP connection's
//! task; knows nothing of the application.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::body::Body;
use super::close::CloseReason;
use super::config::Transport;
use super::error::RequestError;
use super::packet::Frame;
use super::payload;
use super::state::{Shared, State, Upgrade};

/// How long a poll is held while an upgrade is probed, so that the client does not poll in a tight loop meanwhile.
const PROBE_PACE: Duration = Duration::from_millis(100);

/// Answers one GET of a session.
pub(super) async fn poll(shared: Arc<Shared>) -> Response<Body> {
    let during_upgrade = match begin(&shared) {
        Begin::Held { during_upgrade } => during_upgrade,
        Begin::Farewell(frames) => return packets(frames, &shared),
        Begin::Refused(error) => return error.response(),
        Begin::Overlap => return empty(StatusCode::BAD_REQUEST),
    };
    let held = HeldPoll(Some(Arc::clone(&shared)));
    let started = Instant::now();
    let frames = loop {
        let next = shared.lock().answer(Instant::now(), started + PROBE_PACE);
        match next {
            Next::Answer(frames) => break frames,
            // A client stops polling before it says UPGRADE; this poll was sent after that and overtook it.
            Next::Upgraded if during_upgrade => {
                held.answered();
                return RequestError::BadRequest.response();
            }
            Next::Upgraded => break vec![Frame::NOOP],
            Next::Wait => shared.poll.notified().await,
            Next::WaitUntil(until) => {
                let _ = timeout_at(until, shared.poll.notified()).await;
            }
        }
    };
    held.answered();
    packets(frames, &shared)
}

enum Begin {
    Held {
        /// A websocket was already trying to take over.
        during_upgrade: bool,
    },
    Farewell(Vec<Frame>),
    Refused(RequestError),
    Overlap,
}

fn begin(shared: &Shared) -> Begin {
    let begin = {
        let mut state = shared.lock();
        if state.reason().is_some() {
            match state.take_farewell(false) {
                Some(frames) => Begin::Farewell(frames),
                None => Begin::Refused(RequestError::UnknownSid),
            }
        } else if state.transport != Transport::Polling {
            Begin::Refused(RequestError::BadRequest)
        } else if state.requests.get {
            Begin::Overlap
        } else {
            state.requests.get = true;
            Begin::Held {
                during_upgrade: state.upgrade != Upgrade::None,
            }
        }
    };
    match begin {
        Begin::Overlap => {
            shared.close(CloseReason::OverlappingRequests);
        }
        // The session's task waits for this.
        Begin::Farewell(_) => shared.output.notify_one(),
        Begin::Held { .. } | Begin::Refused(_) => {}
    }
    begin
}

enum Next {
    Answer(Vec<Frame>),
    /// The session has moved to a websocket.
    Upgraded,
    Wait,
    WaitUntil(Instant),
}

impl State {
    fn answer(&mut self, now: Instant, paced: Instant) -> Next {
        let frames = if self.reason().is_some() {
            self.take_farewell(true)
                .unwrap_or_else(|| vec![Frame::NOOP])
        } else if self.transport != Transport::Polling {
            self.requests.get = false;
            return Next::Upgraded;
        } else if !self.outbox.is_empty() {
            let frames = self.outbox.take(usize::MAX);
            if frames.contains(&Frame::PING) {
                self.heartbeat.ping_delivered(now);
            }
            frames
        } else if self.upgrade == Upgrade::Probed && now >= paced {
            vec![Frame::NOOP]
        } else if self.upgrade == Upgrade::Probed {
            return Next::WaitUntil(paced);
        } else {
            return Next::Wait;
        };
        self.requests.get = false;
        Next::Answer(frames)
    }
}

/// A poll whose client hangs up takes the session with it.
struct HeldPoll(Option<Arc<Shared>>);

impl HeldPoll {
    fn answered(mut self) {
        if let Some(shared) = self.0.take() {
            // A farewell, or room for the next poll.
            shared.output.notify_one();
        }
    }
}

impl Drop for HeldPoll {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.lock().requests.get = false;
            shared.close(CloseReason::TransportLost);
        }
    }
}

/// A poll's answer.
pub(super) fn packets(frames: Vec<Frame>, shared: &Arc<Shared>) -> Response<Body> {
    let body = Body::packets(payload::encode(frames), Arc::clone(shared));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=UTF-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer that is only its status.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    response
}
