//! What both echo servers share: their flags, and the loop that accepts connections and serves an engine on them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jivchat::engineio::{self, Body, Engine};
use tokio::net::{TcpListener, TcpStream};

/// Flags of both examples; the durations are in milliseconds.
#[derive(Debug, clap::Parser)]
pub(crate) struct Flags {
    /// Port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Path the engine answers on, without the trailing slash.
    #[arg(long)]
    path: Option<String>,
    #[arg(long, default_value_t = 25_000)]
    ping_interval: u64,
    #[arg(long, default_value_t = 20_000)]
    ping_timeout: u64,
    /// Only Socket.IO: time a client has to join a namespace.
    #[arg(long, default_value_t = 45_000)]
    pub(crate) connect_timeout: u64,
}

impl Flags {
    /// The engine's configuration; `path` is the default if the flag is missing.
    pub(crate) fn engine(&self, path: &str) -> engineio::Config {
        engineio::Config {
            path: self.path.clone().unwrap_or_else(|| path.to_owned()),
            ping_interval: Duration::from_millis(self.ping_interval),
            ping_timeout: Duration::from_millis(self.ping_timeout),
            ..engineio::Config::default()
        }
    }

    /// Serves the engine until the process is stopped.
    pub(crate) async fn serve<H: engineio::Handler>(
        &self,
        engine: Engine<H>,
    ) -> std::io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await?;
        eprintln!("listening on http://{}", listener.local_addr()?);
        loop {
            let (stream, peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(connection(engine.clone(), stream, peer));
        }
    }
}

async fn connection<H: engineio::Handler>(engine: Engine<H>, stream: TcpStream, peer: SocketAddr) {
    let service = service_fn(async |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let mut response = if engine.matches(request.uri().path()) {
            engine.handle(request).await
        } else {
            let mut response = Response::new(Body::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        };
        response
            .headers_mut()
            .insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        Ok::<_, Infallible>(response)
    });
    // A connection that breaks is the client's affair.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}
