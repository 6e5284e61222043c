//! Engine.IO beyond the official suite: refusals, hostile input, limits, upgrade, and every way a session can end.

mod answers;
mod attacks;
mod endings;
mod heartbeats;
mod http;
mod limits;
mod polls;
mod posts;
mod races;
mod refusals;
mod slow_consumers;
mod upgrade;
mod websockets;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jivchat::engineio::{CloseReason, Config, Counts, Engine, Frame, Handler, Message, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite;

use crate::support::http::{Raw, request, text};
use crate::support::patiently;
use crate::support::protocol::{
    OPEN_POLLING, OPEN_WEBSOCKET, Poller, Server, official, patient, sid,
};
use crate::support::websocket::{Next, Ws};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn echo() -> Server<impl Handler> {
    Server::engine_echo(patient()).await
}

async fn is_open<H: Handler>(poller: &Poller<'_, H>) -> bool {
    poller.post("4still here").await.status == 200
}

fn refusal(code: u8) -> String {
    let message = match code {
        0 => "Transport unknown",
        1 => "Session ID unknown",
        2 => "Bad handshake method",
        3 => "Bad request",
        _ => "Unsupported protocol version",
    };
    format!(r#"{{"code":{code},"message":"{message}"}}"#)
}

/// Reports what happens to it; obeys a few words.
struct Recorder {
    events: mpsc::Sender<String>,
    sessions: mpsc::Sender<Session>,
    release: Arc<Notify>,
    opened: AtomicUsize,
}

impl Handler for Recorder {
    type State = ();

    fn on_open(&self, session: &Session) {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let _ = self.sessions.try_send(session.clone());
    }

    async fn on_message(&self, session: &Session, (): &mut (), message: Message) {
        let Message::Text(text) = message else { return };
        match text.as_str() {
            "panic" => panic!("as asked"),
            "block" => {
                session.send(&[Frame::message("blocking")]);
                self.release.notified().await;
            }
            "close" => {
                session.send(&[Frame::message("last")]);
                session.close(CloseReason::ServerClosed);
            }
            "who" => {
                session.send(&[Frame::message(&format!(
                    "{} {:?}",
                    session.handshake().peer().is_some(),
                    session.handshake().query("token"),
                ))]);
            }
            _ => {}
        }
        let _ = self.events.send(text).await;
    }

    async fn on_wake(&self, _: &Session, (): &mut ()) {
        let _ = self.events.send("woken".to_owned()).await;
    }

    async fn on_close(&self, _: &Session, (): (), reason: CloseReason) {
        let _ = self
            .events
            .send(format!("closed {}", reason.as_str()))
            .await;
    }
}

async fn recording(config: Config) -> (Server<Recorder>, mpsc::Receiver<String>) {
    let (server, events, _) = recording_sessions(config).await;
    (server, events)
}

async fn recording_sessions(
    config: Config,
) -> (
    Server<Recorder>,
    mpsc::Receiver<String>,
    mpsc::Receiver<Session>,
) {
    let (events, received) = mpsc::channel(1000);
    let (sessions, opened) = mpsc::channel(1000);
    let recorder = Recorder {
        events,
        sessions,
        release: Arc::default(),
        opened: AtomicUsize::new(0),
    };
    (
        Server::start("/engine.io/", config, recorder).await,
        received,
        opened,
    )
}

#[tokio::test]
async fn the_handshake_is_remembered() {
    let config = Config {
        kept_headers: vec![hyper::header::AUTHORIZATION],
        ..patient()
    };
    let (server, _events, mut sessions) = recording_sessions(config).await;
    let headers = "Authorization: Bearer x\r\nCookie: secret\r\n";
    let answer = server
        .request("GET", "EIO=4&transport=polling&token=a%20b", headers, "")
        .await;
    assert_eq!(answer.status, 200);
    let session = sessions.recv().await.unwrap();
    let handshake = session.handshake();
    assert_eq!(
        handshake.header(&hyper::header::AUTHORIZATION).unwrap(),
        "Bearer x"
    );
    assert_eq!(handshake.header(&hyper::header::COOKIE), None);
    assert_eq!(handshake.query("token").as_deref(), Some("a b"));
    assert!(handshake.peer().unwrap().ip().is_loopback());
    assert!(
        !format!("{session:?}").contains(&sid(&answer.body)),
        "the sid is a secret"
    );
}

#[tokio::test]
async fn churn_leaves_nothing_behind() {
    let (server, mut events) = recording(official()).await;
    for round in 0..60 {
        let poller = server.poller().await;
        match round % 6 {
            0 => drop(poller.held_get().await),
            1 => drop(poller.upgrade().await),
            2 => drop(poller.upgraded().await),
            3 => poller.expect_post("1", 200).await,
            4 => poller.expect_post("abc", 400).await,
            _ => drop(server.websocket().await),
        }
    }
    server.idle().await;
    let opened = server.engine.handler().opened.load(Ordering::Relaxed);
    assert_eq!(opened, 70);
    for _ in 0..opened {
        let event = patiently(events.recv()).await.unwrap();
        assert!(event.starts_with("closed "), "{event}");
    }
    let extra = timeout(Duration::from_millis(20), events.recv()).await;
    assert!(extra.is_err(), "on_close ran twice: {extra:?}");
    assert!(server.engine.shutdown(Duration::from_secs(5)).await);
}
