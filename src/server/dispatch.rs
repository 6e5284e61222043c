//! One request: to whom it goes by its path, and what every answer carries.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, FORWARDED, HOST, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY,
    UPGRADE, VIA, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, field};

use super::connections::Connections;
use super::counts::Counts;
use super::exposition::{self, Exposition};
use super::malformed;
use super::proxy::Proxies;
use super::request_id::{REQUEST_ID, request_id};
use super::tls::Certificates;
use crate::api::{self, Api, Body, Failure, Waited};
use crate::chat::Service;
use crate::cors::Cors;
use crate::engineio::Engine;
use crate::metrics::{Process, SlowThreshold, Volume, millis};
use crate::realtime::Realtime;
use crate::socketio::SocketIo;
use crate::view;
use crate::web::{Pages, docs};

/// The protocol layer with the chat on it.
pub(super) type Sockets = Engine<SocketIo<Realtime>>;

/// Bytes of a request's head; past it 431.
pub(super) const MAX_HEADER_BYTES: usize = 64 * 1024;

/// What proxies add to a request.
const FORWARDING: [HeaderName; 6] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// Everything a request can need.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) api: Api,
    pub(super) connections: Arc<Connections>,
    pub(super) proxies: Proxies,
    pub(super) engine: Sockets,
    pub(super) cors: Cors,
    pub(super) pages: Pages,
    pub(super) chat: Service,
    /// The server stops: finish what is under way.
    pub(super) stopping: CancellationToken,
    /// The time to finish is over.
    pub(super) killed: CancellationToken,
    pub(super) started: Instant,
    /// What https is spoken with; without one, http is.
    pub(super) certificates: Option<Arc<Certificates>>,
    /// `Strict-Transport-Security`.
    pub(super) hsts: Option<HeaderValue>,
    /// What a client has for its handshake, and for each request's head.
    pub(super) header_timeout: Duration,
    pub(super) started_at: SystemTime,
    /// From when on a request counts as slow.
    pub(super) slow: SlowThreshold,
    /// Whose free space is told, by what is kept in it.
    pub(super) directories: [(&'static str, PathBuf); 2],
}

impl Dispatch {
    /// Answers one request; never fails, and a panic in a handler is an answer too.
    pub(super) async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let id = request_id(request.headers());
        // Of the highest level, so that it names the request in whatever lines are wanted.
        let span = tracing::error_span!("request", id = id.to_str().unwrap_or_default());
        let mut response = self.answer(request).instrument(span).await;
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }

    async fn answer(&self, mut request: Request<Incoming>) -> Response<Body> {
        let (method, path) = (request.method().clone(), loggable(request.uri().path()));
        let client = request.extensions().get::<SocketAddr>().copied();
        let client = client.map(|address| field::display(address.ip()));
        let began = Instant::now();
        let waited = Waited::default();
        request.extensions_mut().insert(waited.clone());
        // A poll waits for the next event, and an upgraded one for nothing.
        let is_socket = self.engine.matches(request.uri().path());
        let cors = self.cors.headers(request.headers());
        let answer = AssertUnwindSafe(self.route(request)).catch_unwind().await;
        let mut response = answer.unwrap_or_else(|_| api::failed(&Failure::internal()));
        let headers = response.headers_mut();
        for (name, value) in &cors {
            headers.append(name, value.clone());
        }
        headers
            .entry(X_CONTENT_TYPE_OPTIONS)
            .or_insert(HeaderValue::from_static("nosniff"));
        if let Some(value) = &self.hsts {
            headers.insert(STRICT_TRANSPORT_SECURITY, value.clone());
        }
        let status = response.status().as_u16();
        let took = began.elapsed();
        let waited = waited.time();
        let (took_ms, waited_ms) = (millis(took), millis(waited));
        // The time of a client that is slow to send is not ours.
        if !is_socket && self.slow.is_exceeded(took.saturating_sub(waited)) {
            tracing::warn!(%method, ?path, status, client, took_ms, waited_ms, "slow request");
        } else {
            tracing::debug!(%method, ?path, status, client, took_ms, waited_ms, "request");
        }
        response
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Body> {
        if head_bytes(&request) > MAX_HEADER_BYTES {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return closing(api::failed(&malformed::unreadable(status)));
        }
        if self.cors.is_preflight(&request) {
            let mut response = Response::new(api::full(""));
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
                .headers_mut()
                .extend(self.cors.preflight_headers(request.headers()));
            return response;
        }
        let path = request.uri().path();
        if self.engine.matches(path) {
            return self.socket(request).await;
        }
        if matches!(path, "/health" | "/health/") {
            return match *request.method() {
                Method::GET | Method::HEAD => self.health(),
                _ => api::failed(&Failure::method_not_allowed("GET, HEAD")),
            };
        }
        if matches!(path, "/metrics" | "/metrics/") {
            return match *request.method() {
                Method::GET | Method::HEAD => self
                    .metrics(&request)
                    .await
                    .unwrap_or_else(|refused| api::failed(&refused)),
                _ => api::failed(&Failure::method_not_allowed("GET, HEAD")),
            };
        }
        if self.stopping.is_cancelled() {
            return closing(api::failed(&Failure::unavailable("The server is stopping")));
        }
        if let Some(response) = docs::serve(&request) {
            return response;
        }
        if let Some(response) = self.pages.serve(&request) {
            return response;
        }
        // In a box: a held poll waits in this same future, and would hold the room that an upload needs.
        Box::pin(self.api.handle(request)).await
    }

    /// CORS does not protect websockets: a page of another origin is refused before the upgrade.
    async fn socket(&self, request: Request<Incoming>) -> Response<Body> {
        let is_websocket = request.headers().contains_key(UPGRADE);
        if is_websocket && !self.cors.allows(request.headers()) {
            let refusal = json!({ "code": 4, "message": "Forbidden" }).to_string();
            let mut response = Response::new(api::full(refusal));
            *response.status_mut() = StatusCode::FORBIDDEN;
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return closing(response);
        }
        self.engine
            .handle(request)
            .await
            .map(|body| body.map_err(|never| match never {}).boxed_unsync())
    }

    /// For whoever is on this machine or has the admin key.
    async fn metrics(&self, request: &Request<Incoming>) -> Result<Response<Body>, Failure> {
        if !is_local(request) {
            self.api.check_admin(request)?;
        }
        let directories = self.directories.clone();
        let volumes = move || directories.map(|(holds, path)| (holds, Volume::of(&path)));
        let exposition = Exposition {
            footprint: self.chat.footprint().await.ok(),
            volumes: tokio::task::spawn_blocking(volumes)
                .await
                .unwrap_or_default(),
            counts: Counts::read(&self.connections, &self.engine),
            load: self.chat.load(),
            totals: self.api.figures.totals(),
            process: Process::read(),
            tls: self.certificates.as_ref().map(|pair| pair.figures()),
            // Told the same each time, else every scrape looks like a restart.
            started: self.started_at,
        };
        let text = exposition.text().map_err(|_| Failure::internal())?;
        let mut response = Response::new(api::full(text));
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static(exposition::CONTENT_TYPE),
        );
        Ok(response)
    }

    fn health(&self) -> Response<Body> {
        let (status, state) = match (self.stopping.is_cancelled(), self.chat.is_healthy()) {
            (false, true) => (StatusCode::OK, "ok"),
            (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            (_, false) => (StatusCode::SERVICE_UNAVAILABLE, "store failed"),
        };
        let sessions = self.engine.sessions();
        let health = json!({
            "status": state,
            "version": env!("CARGO_PKG_VERSION"),
            "uptimeSeconds": self.started.elapsed().as_secs(),
            "connections": { "polling": sessions.polling, "websocket": sessions.websocket },
        });
        let mut response = Response::new(api::full(health.to_string()));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Whether the client is on this machine. A proxy on it says for whom it asks, and then the client is elsewhere. It has to call this
/// machine by its own name too: a browser here can be led here by a name that a stranger's page chose.
fn is_local<B>(request: &Request<B>) -> bool {
    let peer: Option<&SocketAddr> = request.extensions().get();
    let is_passed_on = FORWARDING
        .iter()
        .any(|name| request.headers().contains_key(name));
    !is_passed_on
        && peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
        && request.headers().get_all(HOST).iter().all(is_own_name)
}

fn is_own_name(host: &HeaderValue) -> bool {
    let authority: Option<Authority> = host.to_str().ok().and_then(|host| host.parse().ok());
    authority.is_some_and(|authority| {
        let name = authority.host().trim_matches(['[', ']']);
        let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
        name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
    })
}

/// hyper reads in growing steps and looks at its own limit between them, so a head may be larger than that by a step.
fn head_bytes<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query();
    let lines = request.headers().iter();
    target.map_or(0, |target| target.as_str().len())
        + lines
            .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
            .sum::<usize>()
}

/// A file's name is the key to it and stays out of the log.
fn loggable(path: &str) -> String {
    match path.strip_prefix(view::MEDIA_PATH) {
        Some(_) => format!("{}…", view::MEDIA_PATH),
        None => path.to_owned(),
    }
}

fn closing(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
