//! The engine: the table of sessions, the way from an HTTP request to one of them, and the end of them all. Knows nothing of packets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response};
use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Handler;
use super::admission::{Admission, Full, Slot};
use super::body::Body;
use super::close::{CloseCounters, CloseReason};
use super::config::{Config, Transport};
use super::error::RequestError;
use super::handshake::{Handshake, Sid};
use super::packet::Frame;
use super::request::{self, Asked};
use super::state::Shared;
use super::task::Life;
use super::{polling, post, upgrade, websocket};

/// An Engine.IO server without a listener: give it requests, it keeps the sessions. Cloning is a reference count.
#[derive(Debug)]
pub struct Engine<H: Handler>(Arc<Inner<H>>);

impl<H: Handler> Clone for Engine<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
pub(super) struct Inner<H> {
    pub(super) config: Config,
    pub(super) handler: H,
    sessions: Mutex<HashMap<Sid, Arc<Shared>>>,
    admission: Arc<Admission>,
    pub(super) closes: CloseCounters,
    tasks: TaskTracker,
    pub(super) stopping: CancellationToken,
}

/// How many sessions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// On long-polling.
    pub polling: usize,
    /// On a websocket.
    pub websocket: usize,
    /// Of both, those the application has not accepted yet.
    pub unaccepted: usize,
}

impl<H: Handler> Engine<H> {
    /// An engine that gives its sessions to `handler`. Must be used within a tokio runtime.
    pub fn new(config: Config, handler: H) -> Self {
        Self(Arc::new(Inner {
            admission: Arc::new(Admission::new(&config)),
            config,
            handler,
            sessions: Mutex::default(),
            closes: CloseCounters::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }))
    }

    /// Whether a raw request path is the engine's to answer: it starts with the configured path and a `/`.
    pub fn matches(&self, path: &str) -> bool {
        path.strip_prefix(&self.0.config.path)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// The application given to [`Engine::new`].
    pub fn handler(&self) -> &H {
        &self.0.handler
    }

    /// Sessions at the moment. One that has ended but still owes its client a last answer is not counted.
    pub fn sessions(&self) -> Counts {
        self.0.admission.counts()
    }

    /// How many handshakes were refused for want of a place.
    pub fn refused_count(&self) -> u64 {
        self.0.admission.refused()
    }

    /// How many sessions have ended, by reason.
    pub fn close_counts(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        self.0.closes.read().into_iter()
    }

    /// Answers a request that [`matches`](Self::matches). The peer's address is taken from a [`SocketAddr`] extension, if there is
    /// one.
    ///
    /// The connection must be served with upgrades enabled, and without half-closed reads (hyper's default): a client that hangs up must
    /// cancel this future, because that is how a session learns that its poll is gone. Time limits on request heads are the caller's;
    /// bodies have [`Config::body_deadline`].
    pub async fn handle(&self, mut request: Request<Incoming>) -> Response<Body> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, body) = request.into_parts();
        let is_upgrade = parts.headers.contains_key(hyper::header::UPGRADE);
        match self.route(parts, body, upgrade).await {
            Ok(response) => response,
            Err(error) if is_upgrade => error.upgrade_response(),
            Err(error) => error.response(),
        }
    }

    async fn route(
        &self,
        parts: Parts,
        body: Incoming,
        upgrade: OnUpgrade,
    ) -> Result<Response<Body>, RequestError> {
        let asked = Asked::read(&parts, &self.0.config)?;
        let Some(sid) = &asked.sid else {
            asked.check_open(&parts)?;
            return match asked.transport {
                Transport::Polling => self.open_polling(&parts, &asked),
                Transport::WebSocket => self.open_websocket(&parts, &asked, upgrade),
            };
        };
        let shared = self.0.find(request::sid(sid)?)?;
        // The session's timer may be late; its deadlines are not.
        shared.tick(Instant::now());
        asked.check_sid()?;
        if asked.upgrade {
            return self.upgrade(&parts, &shared, upgrade);
        }
        Asked::check_poll(&parts)?;
        if parts.method != Method::GET {
            return Ok(Box::pin(post::post(shared, &self.0.config, &parts, body)).await);
        }
        // The head shares the connection's read buffer: while a poll is held, that would make it two buffers.
        drop((parts, body, upgrade, asked));
        Ok(polling::poll(shared).await)
    }

    fn open_polling(&self, parts: &Parts, asked: &Asked) -> Result<Response<Body>, RequestError> {
        let slot = self.0.reserve(parts, Transport::Polling)?;
        let shared = self.0.create(parts, Transport::Polling)?;
        let open = Frame::open(&self.0.open_packet(&shared, Transport::Polling));
        self.0.enter(&shared);
        let life = Life::new(Arc::clone(&self.0), Arc::clone(&shared), asked.base64);
        self.0.tasks.spawn(life.run(slot, None));
        Ok(polling::packets(vec![open], &shared))
    }

    fn open_websocket(
        &self,
        parts: &Parts,
        asked: &Asked,
        upgrade: OnUpgrade,
    ) -> Result<Response<Body>, RequestError> {
        let response =
            websocket::accept(request::websocket_key(parts)?, request::subprotocol(parts))?;
        let slot = self.0.reserve(parts, Transport::WebSocket)?;
        let shared = self.0.create(parts, Transport::WebSocket)?;
        let open = Frame::open(&self.0.open_packet(&shared, Transport::WebSocket));
        shared.lock().outbox.push_control(open);
        let inner = Arc::clone(&self.0);
        let base64 = asked.base64;
        self.0.tasks.spawn(async move {
            let Some(websocket) = websocket::open(upgrade, &inner.config).await else {
                return;
            };
            inner.enter(&shared);
            let life = Life::new(inner, shared, base64);
            life.run(slot, Some(Box::new(websocket))).await;
        });
        Ok(response)
    }

    fn upgrade(
        &self,
        parts: &Parts,
        shared: &Arc<Shared>,
        upgrade: OnUpgrade,
    ) -> Result<Response<Body>, RequestError> {
        let response =
            websocket::accept(request::websocket_key(parts)?, request::subprotocol(parts))?;
        let attempt = upgrade::begin(shared, &self.0.config)?;
        let inner = Arc::clone(&self.0);
        self.0
            .tasks
            .spawn(async move { attempt.run(upgrade, &inner.config).await });
        Ok(response)
    }

    /// Ends every session as [`CloseReason::ServerShutdown`], spread over the configured jitter, and waits for their tasks, at most
    /// `grace` in all. True if none was left. New sessions are refused from the first moment.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.0.stopping.cancel();
        let sessions: Vec<_> = self.0.table().values().cloned().collect();
        let start = Instant::now();
        let spread = self.0.config.shutdown_jitter.min(grace / 2);
        let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
        for (index, shared) in (0_u32..).zip(sessions) {
            sleep_until(start + spread / count * index).await;
            shared.close(CloseReason::ServerShutdown);
        }
        self.0.tasks.close();
        let left = grace.saturating_sub(start.elapsed());
        timeout(left, self.0.tasks.wait()).await.is_ok()
    }
}

impl<H> Inner<H> {
    fn table(&self) -> MutexGuard<'_, HashMap<Sid, Arc<Shared>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, sid: Sid) -> Result<Arc<Shared>, RequestError> {
        self.table()
            .get(&sid)
            .cloned()
            .ok_or(RequestError::UnknownSid)
    }

    fn create(&self, parts: &Parts, transport: Transport) -> Result<Arc<Shared>, RequestError> {
        let sid = Sid::random().map_err(|_| RequestError::Unavailable)?;
        let handshake = Handshake::new(
            parts.extensions.get::<SocketAddr>().copied(),
            parts.uri.query().unwrap_or_default(),
            &parts.headers,
            &self.config.kept_headers,
        );
        let shared = Arc::new(Shared::new(sid, handshake, transport, &self.config));
        self.admission
            .meet(&shared)
            .map_err(|Full| RequestError::Unavailable)?;
        Ok(shared)
    }

    fn enter(&self, shared: &Arc<Shared>) {
        self.table().insert(shared.sid, Arc::clone(shared));
        // The shutdown may have read the table just before.
        if self.stopping.is_cancelled() {
            shared.close(CloseReason::ServerShutdown);
        }
    }

    pub(super) fn leave(&self, shared: &Shared) {
        let mut table = self.table();
        table.remove(&shared.sid);
        // A wave of clients must not hold its memory for ever.
        if table.capacity() > 1024 && table.len() < table.capacity() / 8 {
            table.shrink_to_fit();
        }
    }

    fn reserve(&self, parts: &Parts, transport: Transport) -> Result<Slot, RequestError> {
        let peer = parts.extensions.get::<SocketAddr>().copied();
        let slot = self.admission.reserve(transport, peer);
        if self.stopping.is_cancelled() {
            return Err(RequestError::Unavailable);
        }
        slot.map_err(|Full| RequestError::Unavailable)
    }

    fn open_packet(&self, shared: &Shared, transport: Transport) -> String {
        let config = &self.config;
        let upgrades = match transport {
            Transport::Polling if config.allow_upgrades && config.transports.websocket => {
                r#""websocket""#
            }
            _ => "",
        };
        format!(
            r#"{{"sid":"{}","upgrades":[{upgrades}],"pingInterval":{},"pingTimeout":{},"maxPayload":{}}}"#,
            shared.sid.as_str(),
            config.ping_interval.as_millis(),
            config.ping_timeout.as_millis(),
            config.max_payload,
        )
    }
}
