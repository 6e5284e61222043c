//! Socket.IO beyond the official suite: the observed-behaviour table, hostile packets, rooms, broadcast, and every way a socket can end.

mod acks;
mod attacks;
mod broadcast;
mod churn;
mod connecting;
mod ending;
mod grammar;
mod packets;
mod recovery;

use std::sync::Arc;
use std::time::Duration;

use jivchat::engineio::{CloseReason, Handler as EngineHandler};
use jivchat::socketio::{
    Config, ConnectError, DisconnectReason, Event, Handler, Io, Namespace, Outgoing, Socket,
    SocketId, SocketIo,
};
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use crate::socketio_official::{expect_connect, joined};
use crate::support::protocol::{Server, patient};
use crate::support::websocket::{Next, Ws};

async fn echo() -> Server<impl EngineHandler> {
    Server::socket_echo(patient(), Config::default()).await
}

/// An application that does as it is told and reports what happens to it.
struct Puppet {
    io: Io,
    events: mpsc::Sender<String>,
    release: Arc<Notify>,
}

impl Puppet {
    async fn report(&self, event: String) {
        self.events.send(event).await.unwrap();
    }
}

impl Handler for Puppet {
    type State = String;

    async fn on_connect(
        &self,
        socket: &Socket,
        auth: Option<&RawValue>,
    ) -> Result<String, ConnectError> {
        let auth = auth.map_or("{}", RawValue::get);
        let namespace = socket.namespace();
        socket.join("all");
        match auth {
            r#"{"do":"refuse"}"# => {
                let data =
                    serde_json::value::to_raw_value(&serde_json::json!({"code": 7})).unwrap();
                return Err(ConnectError::new("no").with_data(data));
            }
            r#"{"do":"panic"}"# => panic!("as asked"),
            r#"{"do":"leave"}"# => socket.disconnect(),
            r#"{"do":"wait"}"# => {
                let event = Outgoing::new(namespace, "early", &socket.id().as_str()).unwrap();
                assert_eq!(namespace.broadcast(&event, &["all"], &[]).missed, 0);
                socket.emit("first", &1);
                self.report("connecting".to_owned()).await;
                self.release.notified().await;
                socket.emit("second", &2);
            }
            _ => {}
        }
        Ok(format!("state of {}", namespace.name()))
    }

    async fn on_event(&self, socket: &Socket, state: &String, event: Event) {
        let argument = event.first::<String>().ok().flatten().unwrap_or_default();
        match event.name() {
            "join" => assert!(socket.join(&argument)),
            "leave" => {
                socket.leave(&argument);
            }
            "rooms" => {
                let mut rooms = socket.rooms();
                rooms.sort();
                let rooms: Vec<&str> = rooms.iter().map(AsRef::as_ref).collect();
                socket.emit("rooms", &rooms);
            }
            "disconnect me" => {
                socket.disconnect();
                assert!(!socket.emit("late", &1));
                assert!(!socket.join("late"));
            }
            "expire" => {
                socket.close(CloseReason::TokenExpired);
            }
            "panic" => panic!("as asked"),
            "to all" => {
                let event = Outgoing::new(socket.namespace(), "all", &argument).unwrap();
                socket.namespace().broadcast_to_all(&event, &[]);
            }
            other => self.report(format!("{other} {state}")).await,
        }
        if let Some(ack) = event.ack() {
            socket.ack(ack, &"done");
        }
    }

    async fn on_disconnect(&self, socket: &Socket, state: String, reason: DisconnectReason) {
        assert!(socket.rooms().is_empty());
        assert!(
            self.io
                .namespace(socket.namespace().name())
                .unwrap()
                .socket(socket.id())
                .is_none()
        );
        self.report(format!("left, {state}: {}", reason.as_str()))
            .await;
    }
}

struct Stage {
    server: Server<SocketIo<Puppet>>,
    events: mpsc::Receiver<String>,
}

impl Stage {
    async fn new() -> Self {
        let (sender, events) = mpsc::channel(1000);
        let io = Io::new(["/", "/custom"]);
        let puppet = Puppet {
            io: io.clone(),
            events: sender,
            release: Arc::default(),
        };
        let layer = SocketIo::new(Config::default(), io, puppet);
        let config = jivchat::engineio::Config {
            max_outbound_packets: 100,
            ..patient()
        };
        Self {
            server: Server::start("/socket.io/", config, layer).await,
            events,
        }
    }

    fn main(&self) -> &Namespace {
        self.server.engine.handler().io().namespace("/").unwrap()
    }

    async fn joined(&self) -> (Ws, SocketId) {
        let mut ws = self.server.websocket().await;
        ws.send("40").await;
        let id = expect_connect(&mut ws, "40").await;
        (ws, SocketId::parse(&id).unwrap())
    }

    async fn in_room(&self, room: &str) -> (Ws, SocketId) {
        let (mut ws, id) = self.joined().await;
        ws.send(&format!(r#"421["join","{room}"]"#)).await;
        ws.expect(r#"431["done"]"#).await;
        (ws, id)
    }

    async fn expect_event(&mut self, event: &str) {
        assert_eq!(self.events.recv().await.unwrap(), event);
    }

    fn event(&self, name: &str) -> Outgoing {
        Outgoing::new(self.main(), name, &1).unwrap()
    }
}

#[tokio::test]
async fn ids_are_public_names_and_not_the_secret() {
    let stage = Stage::new().await;
    let poller = stage.server.poller().await;
    poller.expect_post("40", 200).await;
    let reply = poller.get().await.body;
    let id = &reply[r#"40{"sid":""#.len()..][..20];
    assert_ne!(id, poller.sid);
    let id = SocketId::parse(id).unwrap();
    assert_eq!(
        stage.main().socket(id).unwrap().id().to_string(),
        id.as_str()
    );
    assert_eq!(SocketId::parse("short"), None);
    assert_eq!(SocketId::parse("é234567890123456789"), None);
}
