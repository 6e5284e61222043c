//! The engine's settings: what each bounds, its unit, its default, and what happens past it. Knows no flag or environment variable.

use std::time::Duration;

use hyper::header::HeaderName;

/// How an [`Engine`](super::Engine) behaves. The defaults are those of the reference server where it has one.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the engine answers, without the trailing slash. Default `/engine.io`. Only requests whose raw path starts with
    /// this and a `/` are ours: see [`Engine::matches`](super::Engine::matches).
    pub path: String,
    /// Time between a PONG (or the handshake) and the next PING. Default 25 s.
    pub ping_interval: Duration,
    /// Time a client has for its PONG. Default 20 s; past it the session ends as
    /// [`HeartbeatMissed`](super::CloseReason::HeartbeatMissed).
    pub ping_timeout: Duration,
    /// Time a websocket may spend probing an upgrade. Default 10 s; past it that websocket is closed and the session stays on polling.
    pub upgrade_timeout: Duration,
    /// Bytes in one POST body or one websocket message, advertised to the client. Default 1,000,000; past it the answer is 413 or
    /// close code 1009, and the session ends.
    pub max_payload: usize,
    /// Which transports may be asked for. Default both; any other gets error code 0.
    pub transports: Transports,
    /// Whether a polling session may move to a websocket. Default true; otherwise the attempt gets error code 3.
    pub allow_upgrades: bool,
    /// Packets that may wait for one session's client. Default 1,024; past it the session ends as
    /// [`SlowConsumer`](super::CloseReason::SlowConsumer).
    pub max_outbound_packets: usize,
    /// Bytes that may wait for one session's client, so also the largest single message to it. Default 4 MiB; past it as above.
    pub max_outbound_bytes: usize,
    /// Packets in one POST body. Default 10,000; past it the answer is 413, nothing of the body is delivered, and the session ends.
    pub max_packets_per_post: usize,
    /// Frames one websocket message may be split into. Default 1,024; past it the websocket is closed with code 1008.
    pub max_fragments: usize,
    /// Time a client has to send the whole body of a POST. Default 10 s; past it the answer is 408 and the session ends.
    pub body_deadline: Duration,
    /// Sessions at once. Default 100,000; past it a handshake gets 503.
    pub max_sessions: usize,
    /// Sessions at once from one address, loopback excepted. Default 100,000, so no limit of its own; past it a handshake gets 503.
    pub max_sessions_per_address: usize,
    /// Sessions at once that the application has not [accepted](super::Session::accept). Default 100,000, so no limit of its own; past it
    /// a new one takes the place of the oldest.
    pub max_unaccepted: usize,
    /// Time an unaccepted session may stay although others want its place. Default 3 s; while even the oldest is younger, a handshake
    /// gets 503.
    pub unaccepted_grace: Duration,
    /// Messages per second from one client, on average; after a pause, two seconds' worth at once. Default 0, no limit; past it the
    /// client is not read until it is due, and never closed for it.
    pub max_messages_per_second: u32,
    /// Bytes per second from one client, as above.
    pub max_bytes_per_second: u32,
    /// Request headers of the handshake that [`Handshake::header`](super::Handshake::header) remembers. Default none: each
    /// costs memory for as long as the session lives.
    pub kept_headers: Vec<HeaderName>,
    /// How long a session closed by the server waits for one more GET, to hand over what was still queued. Default 30 s.
    pub farewell_timeout: Duration,
    /// Time over which [`Engine::shutdown`](super::Engine::shutdown) spreads the closings, so that clients do not come back all at
    /// once. Default zero.
    pub shutdown_jitter: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: "/engine.io".to_owned(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            max_payload: 1_000_000,
            transports: Transports::default(),
            allow_upgrades: true,
            max_outbound_packets: 1024,
            max_outbound_bytes: 4 << 20,
            max_packets_per_post: 10_000,
            max_fragments: 1024,
            body_deadline: Duration::from_secs(10),
            max_sessions: 100_000,
            max_sessions_per_address: 100_000,
            max_unaccepted: 100_000,
            unaccepted_grace: Duration::from_secs(3),
            max_messages_per_second: 0,
            max_bytes_per_second: 0,
            kept_headers: Vec::new(),
            farewell_timeout: Duration::from_secs(30),
            shutdown_jitter: Duration::ZERO,
        }
    }
}

/// The set of transports a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transports {
    /// HTTP long-polling.
    pub polling: bool,
    /// WebSocket.
    pub websocket: bool,
}

impl Default for Transports {
    fn default() -> Self {
        Self {
            polling: true,
            websocket: true,
        }
    }
}

impl Transports {
    pub(super) fn allows(self, transport: Transport) -> bool {
        match transport {
            Transport::Polling => self.polling,
            Transport::WebSocket => self.websocket,
        }
    }
}

/// What carries a session's packets at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP long-polling: GETs that wait for packets, POSTs that bring them.
    Polling,
    /// One websocket.
    WebSocket,
}
