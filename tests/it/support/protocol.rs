//! An engine behind a listener on a free port, and the requests a client makes of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jivchat::engineio::{self, CloseReason, Counts, Engine};
use jivchat::socketio::{self, Io, SocketIo};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::echo::{EngineEcho, SocketEcho};
use super::http::{self, Answer, Raw};
use super::websocket::{Next, Ws};

pub(crate) const OPEN_POLLING: &str = "EIO=4&transport=polling";
pub(crate) const OPEN_WEBSOCKET: &str = "EIO=4&transport=websocket";

/// The times of the official suites.
pub(crate) fn official() -> engineio::Config {
    engineio::Config {
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        ..engineio::Config::default()
    }
}

/// PINGs as often as in the official suites, but all the time in the world for a PONG, for tests in which a slow machine must not look
/// like a dead client.
pub(crate) fn lenient() -> engineio::Config {
    engineio::Config {
        ping_timeout: Duration::from_mins(1),
        ..official()
    }
}

/// Times so long that no heartbeat comes in a test's way.
pub(crate) fn patient() -> engineio::Config {
    engineio::Config::default()
}

/// A server that stops with the test.
pub(crate) struct Server<H: engineio::Handler> {
    pub(crate) engine: Engine<H>,
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    accepting: AbortHandle,
}

impl Server<EngineEcho> {
    pub(crate) async fn engine_echo(config: engineio::Config) -> Self {
        Self::start("/engine.io/", config, EngineEcho).await
    }
}

impl Server<SocketIo<SocketEcho>> {
    pub(crate) async fn socket_echo(config: engineio::Config, socketio: socketio::Config) -> Self {
        let layer = SocketIo::new(socketio, Io::new(["/", "/custom"]), SocketEcho);
        Self::start("/socket.io/", config, layer).await
    }
}

impl<H: engineio::Handler> Server<H> {
    pub(crate) async fn start(path: &'static str, config: engineio::Config, handler: H) -> Self {
        let config = engineio::Config {
            path: path.trim_end_matches('/').to_owned(),
            ..config
        };
        let engine = Engine::new(config, handler);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(listener, engine.clone())).abort_handle();
        Self {
            engine,
            address,
            path,
            accepting,
        }
    }

    pub(crate) fn target(&self, query: &str) -> String {
        format!("{}?{query}", self.path)
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        query: &str,
        headers: &str,
        body: &str,
    ) -> Answer {
        http::request(
            self.address,
            http::text(method, &self.target(query), headers, body),
        )
        .await
    }

    pub(crate) async fn get(&self, query: &str) -> Answer {
        self.request("GET", query, "", "").await
    }

    /// A new session on long-polling.
    pub(crate) async fn poller(&self) -> Poller<'_, H> {
        let answer = self.get(OPEN_POLLING).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Poller {
            server: self,
            sid: sid(&answer.body),
        }
    }

    pub(crate) async fn connect(&self, query: &str) -> Result<Ws, u16> {
        Ws::connect(self.address, &self.target(query)).await
    }

    /// A new session on a websocket, its OPEN packet read.
    pub(crate) async fn websocket(&self) -> Ws {
        let mut ws = self.connect(OPEN_WEBSOCKET).await.unwrap();
        match ws.next().await {
            Next::Text(open) => assert!(open.starts_with("0{"), "{open}"),
            other => panic!("not an OPEN packet: {other:?}"),
        }
        ws
    }

    pub(crate) fn closes(&self, reason: CloseReason) -> u64 {
        self.engine
            .close_counts()
            .find_map(|(counted, count)| (counted == reason).then_some(count))
            .unwrap()
    }

    /// Returns once no session is left.
    pub(crate) async fn idle(&self) {
        while self.engine.sessions() != Counts::default() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl<H: engineio::Handler> Drop for Server<H> {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<H: engineio::Handler>(listener: TcpListener, engine: Engine<H>) {
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let engine = engine.clone();
        tokio::spawn(async move {
            let service = service_fn(async |mut request: hyper::Request<_>| {
                request.extensions_mut().insert(peer);
                Ok::<_, Infallible>(engine.handle(request).await)
            });
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        });
    }
}

/// The sid in an OPEN packet.
pub(crate) fn sid(open: &str) -> String {
    let open: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
    open["sid"].as_str().unwrap().to_owned()
}

/// A session on long-polling.
pub(crate) struct Poller<'a, H: engineio::Handler> {
    pub(crate) server: &'a Server<H>,
    pub(crate) sid: String,
}

impl<H: engineio::Handler> Poller<'_, H> {
    pub(crate) fn query(&self) -> String {
        format!("{OPEN_POLLING}&sid={}", self.sid)
    }

    pub(crate) fn upgrade_query(&self) -> String {
        format!("{OPEN_WEBSOCKET}&sid={}", self.sid)
    }

    pub(crate) async fn get(&self) -> Answer {
        self.server.get(&self.query()).await
    }

    pub(crate) async fn post(&self, body: &str) -> Answer {
        self.server.request("POST", &self.query(), "", body).await
    }

    /// A GET that has been sent and is held.
    pub(crate) async fn held_get(&self) -> Raw {
        let mut raw = Raw::connect(self.server.address).await;
        let target = self.server.target(&self.query());
        raw.write(http::text("GET", &target, "", "")).await;
        raw
    }

    pub(crate) async fn upgrade(&self) -> Ws {
        self.server.connect(&self.upgrade_query()).await.unwrap()
    }

    /// A websocket that has been probed and said UPGRADE.
    pub(crate) async fn upgraded(&self) -> Ws {
        let mut ws = self.upgrade().await;
        ws.send("2probe").await;
        ws.expect("3probe").await;
        ws.send("5").await;
        ws
    }

    pub(crate) async fn expect_get(&self, status: u16, body: &str) {
        let answer = self.get().await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
    }

    pub(crate) async fn expect_gone(&self) {
        self.expect_get(400, r#"{"code":1,"message":"Session ID unknown"}"#)
            .await;
    }

    pub(crate) async fn expect_post(&self, body: &str, status: u16) {
        let answer = self.post(body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 200 {
            assert_eq!(answer.body, "ok");
        }
    }
}
